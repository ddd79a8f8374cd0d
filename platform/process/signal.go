package process

import (
	"os"
	"syscall"
)

// SendSignal sends a signal to the process. It uses pidfd_send_signal(2) with the
// open directory, so the signal never reaches another process. Before Linux 5.1 it
// uses kill(2) after a check, which leaves a race with PID reuse. A zombie ignores
// signals. SendSignal requires the same user or CAP_KILL.
//
// System calls: 1.
func (p *Process) SendSignal(s os.Signal) error { return p.signal(opSendSignal, s) }

// The operations that send a signal.
const (
	opSendSignal = "send signal"
	opTerminate  = "terminate"
	opKill       = "kill"
	opSuspend    = "suspend"
	opResume     = "resume"
)

func (p *Process) signal(op string, s os.Signal) error {
	number, ok := s.(syscall.Signal)
	if !ok || number < 0 {
		return p.invalid(op, "%v is not a signal of this system", s)
	}
	h, err := p.acquire(op)
	if err != nil {
		return err
	}
	defer p.release()
	if err := h.signal(number); err != nil {
		return p.wrap(op, err)
	}
	return nil
}

// Terminate sends SIGTERM as [Process.SendSignal] does. A stopped process handles it
// after [Process.Resume].
func (p *Process) Terminate() error { return p.signal(opTerminate, syscall.SIGTERM) }

// Kill sends SIGKILL as [Process.SendSignal] does.
func (p *Process) Kill() error { return p.signal(opKill, syscall.SIGKILL) }
