package process

import (
	"bytes"
	"errors"
	"syscall"

	"github.com/seed57308aee/process_exporter/procfs"
)

// Cmdline returns the command line arguments, as the process was started or as it
// has overwritten them. It reads /proc/PID/cmdline. The result includes empty
// arguments. A process title without a trailing NUL is split at spaces. A kernel
// thread has no arguments. More than 8 MiB, which execve(2) does not accept, is an
// error that matches [ErrTooLarge].
//
// System calls: 4 for less than 16 KiB of text, and 1 more for each doubling of the text.
func (p *Process) Cmdline() ([]string, error) { return p.readArgs("cmdline") }

// readArgs returns the command line arguments.
func (p *Process) readArgs(op string) ([]string, error) {
	text, err := p.cmdlineText(op)
	if err != nil {
		return nil, err
	}
	defer p.putBuffer(text)
	return procfs.AppendArgsOrTitle(nil, *text), nil
}

// CmdlineRaw returns the text of /proc/PID/cmdline: each argument ends with a NUL.
// More than 8 MiB is an error that matches [ErrTooLarge].
//
// System calls: as [Process.Cmdline].
func (p *Process) CmdlineRaw() ([]byte, error) {
	text, err := p.cmdlineText("cmdline")
	if err != nil {
		return nil, err
	}
	defer p.putBuffer(text)
	return bytes.Clone(*text), nil
}

// cmdlineText reads the command line. It is empty for a zombie and for a process
// that erased it; the state distinguishes them.
func (p *Process) cmdlineText(op string) (*[]byte, error) {
	if p.ctx != nil {
		return within(p, op, func(p *Process) (*[]byte, error) { return p.cmdlineText(op) })
	}
	text, err := p.readAll(op, "cmdline")
	if err != nil {
		return nil, err
	}
	if len(*text) > 0 {
		return text, nil
	}
	if err := p.checkZombie(op); err != nil {
		p.putBuffer(text)
		return nil, err
	}
	return text, nil
}

// checkZombie returns ErrZombie if the process is a zombie.
func (p *Process) checkZombie(op string) error {
	h, err := p.acquire(op)
	if err != nil {
		return err
	}
	defer p.release()
	state, err := p.state(h)
	switch {
	case h.gone():
		return p.wrap(op, syscall.ESRCH)
	case err == nil && (state == 'Z' || state == 'X'):
		return p.wrap(op, &Error{Kind: ErrZombie})
	}
	return nil
}

// Environ returns the environment with which the process was started, by name. It
// reads /proc/PID/environ, which requires the same user, or CAP_SYS_PTRACE and
// CAP_DAC_READ_SEARCH. It is empty for a kernel thread. The error of a zombie matches
// [ErrZombie]. More than 8 MiB is an error that matches [ErrTooLarge].
//
// System calls: as [Process.Cmdline].
func (p *Process) Environ() (map[string]string, error) {
	text, err := p.readAll("environ", "environ")
	switch {
	case errors.Is(err, ErrUnsupported): // it has no memory and is not a zombie: a kernel thread
		return map[string]string{}, nil
	case err != nil:
		return nil, err
	}
	defer p.putBuffer(text)
	if len(*text) == 0 { // on some kernels also of a zombie
		if err := p.checkZombie("environ"); err != nil {
			return nil, err
		}
	}
	return procfs.ParseEnviron(*text), nil
}
