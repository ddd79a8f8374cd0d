package process

import (
	"bytes"
	"errors"
	"path"
	"strings"
	"syscall"

	"github.com/seed57308aee/process_exporter/procfs"
)

// maxComm is how many bytes of a name the kernel keeps.
const maxComm = 15

// Name returns the name of the process: that of its main thread, which is what
// it runs unless it renamed itself. A name that the kernel may have cut short
// is completed from the command line.
func (p *Process) Name() (string, error) {
	const op = "name"
	stat, err := p.stat(op)
	if err != nil {
		return "", err
	}
	name := string(stat.Comm)
	if len(name) < maxComm {
		return name, nil
	}
	words, err := p.cmdline(op)
	switch {
	case errors.Is(err, ErrAccessDenied), errors.Is(err, ErrZombie), errors.Is(err, ErrTooLarge):
	case err != nil:
		return "", err
	case len(words) > 0:
		if whole := path.Base(words[0]); strings.HasPrefix(whole, name) {
			return whole, nil
		}
	}
	return name, nil
}

// Exe returns the path of the program that the process runs, as the file system
// shows it to us. It is "" for a kernel thread.
func (p *Process) Exe() (string, error) { return p.path("exe", "exe") }

// Cwd returns the path of the directory that the process works in.
func (p *Process) Cwd() (string, error) { return p.path("cwd", "cwd") }

// path returns what a link leads to.
func (p *Process) path(op, file string) (string, error) {
	h, err := p.acquire(op)
	if err != nil {
		return "", err
	}
	defer p.release()
	buf := p.shared.table.buffers.Get().(*[]byte)
	defer p.done(buf)
	text, err := h.link(*buf, file)
	if err != nil {
		if err := p.failure(op, err); !errors.Is(err, ErrUnsupported) {
			return "", err
		}
		return "", nil // a living process without the link: a kernel thread
	}
	name, _ := p.undeleted(h, file, text)
	return name, nil
}

// undeleted returns the path that a link below /proc/PID says, and whether the
// file no longer has it. The kernel says so behind the path, where a file may
// well have the same words in its name: then that very file is found there.
func (p *Process) undeleted(h handle, link string, text []byte) (name string, deleted bool) {
	text, _, _ = bytes.Cut(text, []byte{0})
	name = string(text)
	short, marked := strings.CutSuffix(name, " (deleted)")
	if !marked {
		return name, false
	}
	if like, err := h.stat(link); err == nil && p.shared.table.system.sameFile(name, like) {
		return name, false
	}
	return short, true
}

// Cmdline returns the arguments that the process was started with, or wrote
// over them. Empty arguments count. A title without a NUL at its end is split
// at spaces. It is empty for a kernel thread. More than 8 MiB, which no program can
// be started with, is an error that matches [ErrTooLarge].
func (p *Process) Cmdline() ([]string, error) { return p.cmdline("cmdline") }

func (p *Process) cmdline(op string) ([]string, error) {
	text, err := p.cmdlineText(op)
	if err != nil {
		return nil, err
	}
	defer p.done(text)
	return procfs.AppendArgsOrTitle(nil, *text), nil
}

// CmdlineRaw returns the bytes that the arguments are in, with the NULs that
// end them. More than 8 MiB is an error as of [Process.Cmdline].
func (p *Process) CmdlineRaw() ([]byte, error) {
	text, err := p.cmdlineText("cmdline")
	if err != nil {
		return nil, err
	}
	defer p.done(text)
	return bytes.Clone(*text), nil
}

// cmdlineText reads the command line. A zombie's is empty, as is that of a
// process that erased it, so that only the state tells them apart.
func (p *Process) cmdlineText(op string) (*[]byte, error) {
	text, err := p.wholeText(op, "cmdline")
	if err != nil {
		return nil, err
	}
	if len(*text) > 0 {
		return text, nil
	}
	if err := p.notZombie(op); err != nil {
		p.done(text)
		return nil, err
	}
	return text, nil
}

// notZombie returns ErrZombie if the process is one.
func (p *Process) notZombie(op string) error {
	h, err := p.acquire(op)
	if err != nil {
		return err
	}
	defer p.release()
	state, err := p.state()
	switch {
	case h.gone():
		return p.failure(op, syscall.ESRCH)
	case err == nil && (state == 'Z' || state == 'X'):
		return p.failure(op, &Error{Kind: ErrZombie})
	}
	return nil
}

// Environ returns the environment that the process was started with. It is
// empty for a kernel thread. More than 8 MiB is an error that matches
// [ErrTooLarge].
func (p *Process) Environ() (map[string]string, error) {
	text, err := p.wholeText("environ", "environ")
	switch {
	case errors.Is(err, ErrUnsupported): // no memory, and no zombie: a kernel thread
		return map[string]string{}, nil
	case err != nil:
		return nil, err
	}
	defer p.done(text)
	return procfs.ParseEnviron(*text), nil
}

// Terminal returns the path of the terminal that controls the process, "" if
// there is none.
func (p *Process) Terminal() (string, error) {
	stat, err := p.stat("terminal")
	if err != nil || stat.TTY == 0 {
		return "", err
	}
	return p.shared.table.system.terminal(uint32(stat.TTY)), nil
}

// Owners are the users, or the groups, that a process acts as.
type Owners struct{ Real, Effective, Saved uint32 }

// UIDs returns the users that the process acts as.
func (p *Process) UIDs() (Owners, error) {
	const op = "uids"
	st, err := p.status(op)
	if err != nil {
		return Owners{}, err
	}
	return p.owners(op, st.UIDs, st.Have&procfs.StatusUIDs != 0)
}

// GIDs returns the groups that the process acts as.
func (p *Process) GIDs() (Owners, error) {
	const op = "gids"
	st, err := p.status(op)
	if err != nil {
		return Owners{}, err
	}
	return p.owners(op, st.GIDs, st.Have&procfs.StatusGIDs != 0)
}

func (p *Process) owners(op string, ids [4]uint32, have bool) (Owners, error) {
	if !have {
		return Owners{}, p.failure(op, ErrUnsupported)
	}
	return Owners{Real: ids[0], Effective: ids[1], Saved: ids[2]}, nil
}

// Username returns the name of the real user of the process, or its number
// where it has no name.
func (p *Process) Username() (string, error) {
	uids, err := p.UIDs()
	if err != nil {
		return "", err
	}
	return p.shared.table.users.Name(uids.Real), nil
}
