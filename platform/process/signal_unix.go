//go:build unix

package process

import "syscall"

// Suspend sends SIGSTOP as [Process.SendSignal] does.
func (p *Process) Suspend() error { return p.SendSignal(syscall.SIGSTOP) }

// Resume sends SIGCONT as [Process.SendSignal] does.
func (p *Process) Resume() error { return p.SendSignal(syscall.SIGCONT) }
