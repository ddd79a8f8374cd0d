package sandbox

import "golang.org/x/sys/unix"

const (
	auditArch  = unix.AUDIT_ARCH_X86_64
	sysFstatat = unix.SYS_NEWFSTATAT
	largeFile  = 0x8000 // O_LARGEFILE of the kernel, which is 0 in package unix
)

// archRules permit the calls that other architectures lack.
func archRules() []rule {
	const archSetFS = 0x1002 // asm/prctl.h
	return []rule{
		{unix.SYS_ARCH_PRCTL, "arch_prctl", useThreads, []check{oneOf(0, "ARCH_SET_FS", archSetFS)}},
		{unix.SYS_TIME, "time", useTime, nil},
	}
}
