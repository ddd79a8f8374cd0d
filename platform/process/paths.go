package process

import (
	"bytes"
	"errors"
	"strings"
)

// Exe returns the path of the executable, or "" for a kernel thread. It reads the
// link /proc/PID/exe, which requires the same user or CAP_SYS_PTRACE.
//
// System calls: 1, and 2 if the file is deleted.
func (p *Process) Exe() (string, error) { return p.linkTarget("exe", "exe") }

// Cwd returns the working directory. It reads the link /proc/PID/cwd, which requires
// the same user or CAP_SYS_PTRACE.
//
// System calls: as [Process.Exe].
func (p *Process) Cwd() (string, error) { return p.linkTarget("cwd", "cwd") }

// linkTarget returns the target of a link below /proc/PID.
func (p *Process) linkTarget(op, file string) (string, error) {
	if p.ctx != nil {
		return within(p, op, func(p *Process) (string, error) { return p.linkTarget(op, file) })
	}
	h, err := p.acquire(op)
	if err != nil {
		return "", err
	}
	defer p.release()
	buf := p.getBuffer()
	defer p.putBuffer(buf)
	text, err := h.link(*buf, file)
	if err != nil {
		if err := p.wrap(op, err); !errors.Is(err, ErrUnsupported) {
			return "", err
		}
		return "", nil // a live process without the link is a kernel thread
	}
	name, _ := p.trimDeleted(h, file, text)
	return name, nil
}

// trimDeleted returns the path in the text of a link, and whether the path no longer
// leads to the file. The kernel then appends " (deleted)". A file name may end so
// too: then the path with the suffix leads to the file.
func (p *Process) trimDeleted(h handle, link string, text []byte) (name string, deleted bool) {
	text, _, _ = bytes.Cut(text, []byte{0})
	name = string(text)
	short, marked := strings.CutSuffix(name, " (deleted)")
	if !marked {
		return name, false
	}
	if target, err := h.stat(link); err == nil && p.shared.table.system.sameFile(name, target) {
		return name, false
	}
	return short, true
}
