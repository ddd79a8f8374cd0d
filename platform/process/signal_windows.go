package process

// Suspend fails with [ErrUnsupported]: Windows has no such signal.
func (p *Process) Suspend() error { return p.wrap(opSuspend, ErrUnsupported) }

// Resume fails with [ErrUnsupported]: Windows has no such signal.
func (p *Process) Resume() error { return p.wrap(opResume, ErrUnsupported) }
