package sandbox

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_AARCH64

// archDeniedCalls are the system calls that not all architectures have.
var archDeniedCalls = []uintptr{unix.SYS_RENAMEAT}

// denyArchFlags does nothing: this architecture has no open(2).
func (f *filter) denyArchFlags() {}
