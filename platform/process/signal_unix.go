//go:build unix

package process

import "syscall"

// Suspend stops the process, with SIGSTOP.
func (p *Process) Suspend() error { return p.SendSignal(syscall.SIGSTOP) }

// Resume lets a stopped process go on, with SIGCONT.
func (p *Process) Resume() error { return p.SendSignal(syscall.SIGCONT) }
