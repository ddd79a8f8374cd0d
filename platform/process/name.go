package process

import (
	"errors"
	"path"
	"strings"
	"time"

	"github.com/seed57308aee/process_exporter/procfs"
)

// maxComm is the greatest length of a thread name in bytes: TASK_COMM_LEN - 1.
const maxComm = 15

// Name returns the name of the main thread: the base name of the program unless the
// process renamed itself. It reads /proc/PID/stat. The kernel truncates names to 15
// bytes. Name replaces a name of 15 bytes by the base name of the first argument of the
// command line if that begins with the name.
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

// completeName returns the base name of the first argument if it begins with comm, and
// otherwise comm.
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
