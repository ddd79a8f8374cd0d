package process

import (
	"os"
	"syscall"
)

// SendSignal sends a signal to the process. Never to another: the kernel is
// given the open directory, not a number. A zombie takes signals without
// effect.
func (p *Process) SendSignal(s os.Signal) error {
	const op = "send signal"
	number, ok := s.(syscall.Signal)
	if !ok || number < 0 {
		return p.failure(op, ErrInvalid)
	}
	h, err := p.acquire(op)
	if err != nil {
		return err
	}
	defer p.release()
	if err := h.signal(number); err != nil {
		return p.failure(op, err)
	}
	return nil
}

// Terminate asks the process to exit, with SIGTERM.
func (p *Process) Terminate() error { return p.SendSignal(syscall.SIGTERM) }

// Kill ends the process, with SIGKILL.
func (p *Process) Kill() error { return p.SendSignal(syscall.SIGKILL) }
