package process

import (
	"bytes"
	"errors"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/seed57308aee/process_exporter/procfs"
)

// maxComm is the greatest length of a thread name in bytes: TASK_COMM_LEN - 1.
const maxComm = 15

// Name returns the name of the main thread: the base name of the program unless the
// process renamed itself. It reads /proc/PID/stat. The kernel truncates names to 15
// bytes; Name completes such a name from the command line if that starts with it.
//
// System calls: 1 (3 in the first call), and 4 for a name of 15 bytes or more.
func (p *Process) Name() (string, error) {
	const op = "name"
	stat, err := p.readStat(op)
	if err != nil {
		return "", err
	}
	name := string(stat.Comm)
	if len(name) < maxComm {
		return name, nil
	}
	args, err := p.readArgs(op)
	switch {
	case errors.Is(err, ErrAccessDenied), errors.Is(err, ErrZombie), errors.Is(err, ErrTooLarge):
	case err != nil:
		return "", err
	default:
		name = completeName(name, args)
		p.shared.setName(name)
	}
	return name, nil
}

// completeName returns the base name of the program of a command line if it starts
// with comm, and otherwise comm.
func completeName(comm string, args []string) string {
	if len(args) > 0 {
		if full := path.Base(args[0]); strings.HasPrefix(full, comm) {
			return full
		}
	}
	return comm
}

// setComm stores the name that the kernel has now, unless the last known name is its
// completion.
func (s *shared) setComm(comm []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	completed := len(comm) >= maxComm && strings.HasPrefix(s.name, string(comm))
	if s.name != string(comm) && !completed {
		s.name = string(comm)
	}
}

func (s *shared) setName(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.name = name
}

func (s *shared) lastName() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.name
}

// currentName returns the name of the process for an error: its name now, or the
// last known one if it cannot be read. It reads stat, and the command line of a
// process whose name the kernel may have truncated. That read can block while the
// process holds its memory map locked, so currentName limits its time.
func (p *Process) currentName() string {
	const timeout = 100 * time.Millisecond
	s := p.shared
	h, ok := s.borrow()
	if !ok {
		return s.lastName()
	}
	text, err := h.read(make([]byte, 1024), "stat")
	var stat procfs.Stat
	if err != nil || procfs.ParseStat(text, &stat) != nil {
		s.release()
		return s.lastName()
	}
	s.setComm(stat.Comm)
	name := s.lastName()
	if len(name) != maxComm {
		s.release()
		return name
	}
	full := make(chan string, 1) // the goroutine must not block if the read is late
	go func() {
		defer s.release()
		if text, err := h.readStart(make([]byte, 4096), "cmdline"); err == nil {
			s.setName(completeName(name, procfs.AppendArgsOrTitle(nil, text)))
		}
		full <- s.lastName()
	}()
	select {
	case name = <-full:
	case <-time.After(timeout):
	}
	return name
}

// Cmdline returns the command line arguments, as the process was started or as it
// has overwritten them. It reads /proc/PID/cmdline. The result includes empty
// arguments. A process title without a trailing NUL is split at spaces. A kernel
// thread has no arguments. More than 8 MiB, which execve(2) does not accept, is an
// error that matches [ErrTooLarge].
//
// System calls: 4, and 1 per page of text.
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
// System calls: 4, and 1 per page of text.
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
