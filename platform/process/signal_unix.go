//go:build unix

package process

import "syscall"

// Suspend sends SIGSTOP as [Process.SendSignal] does.
func (p *Process) Suspend() error { return p.signal(opSuspend, syscall.SIGSTOP) }

// Resume sends SIGCONT as [Process.SendSignal] does.
func (p *Process) Resume() error { return p.signal(opResume, syscall.SIGCONT) }
