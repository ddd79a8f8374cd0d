//go:build unix

package process

import "syscall"

// Suspend sends SIGSTOP.
func (p *Process) Suspend() error { return p.SendSignal(syscall.SIGSTOP) }

// Resume sends SIGCONT.
func (p *Process) Resume() error { return p.SendSignal(syscall.SIGCONT) }
