//go:build amd64 || arm64

package bpf

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
)

// A RejectedError is the error of a program that the kernel's verifier rejects.
type RejectedError struct {
	err error
	log *ebpf.VerifierError
}

// Error returns the last lines of the verifier log in one line.
func (e *RejectedError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *RejectedError) Unwrap() error { return e.err }

// Detail returns the whole verifier log, which may have thousands of lines.
func (e *RejectedError) Detail() string { return fmt.Sprintf("%+v", e.log) }

// ErrLockedDown matches the error of a kernel that denies programs to read kernel memory.
var ErrLockedDown = errors.New("the lockdown mode confidentiality of the kernel denies reads of kernel memory")

// IsDenied reports whether err of Load is a missing capability. EACCES of the verifier
// is not: it is a [*RejectedError].
func IsDenied(err error) bool {
	var rejected *RejectedError
	return errors.Is(err, os.ErrPermission) && !errors.As(err, &rejected)
}

// A kernelProbe answers why the kernel does not load the programs. Tests replace its fields.
type kernelProbe struct {
	memlock     error        // of the attempt to raise RLIMIT_MEMLOCK
	haveVersion func() error // matches ErrNotSupported before Linux 5.10
	haveReads   func() error // of bpf_probe_read: EPERM without capabilities, ErrNotSupported in lockdown
	jitDisabled func() bool
}

func newKernelProbe(memlock error) kernelProbe {
	return kernelProbe{
		memlock:     memlock,
		haveVersion: haveHelperOf510,
		// If the kernel lacks bpf_probe_read_kernel, cilium/ebpf replaces it by bpf_probe_read
		// and does not find it in the verifier log. Lockdown denies both.
		haveReads:   func() error { return features.HaveProgramHelper(ebpf.Kprobe, asm.FnProbeRead) },
		jitDisabled: func() bool { return jitDisabled("/proc/sys/net/core/bpf_jit_enable") },
	}
}

// haveHelperOf510 returns an error that matches [ebpf.ErrNotSupported] if the kernel lacks
// the helper bpf_per_cpu_ptr, which Linux 5.10 added. The programs are not tested on older
// kernels.
func haveHelperOf510() error { return features.HaveProgramHelper(ebpf.SocketFilter, asm.FnPerCpuPtr) }

// jitDisabled reports whether the file of the sysctl net.core.bpf_jit_enable contains 0.
func jitDisabled(path string) bool {
	text, err := os.ReadFile(path)
	return err == nil && string(bytes.TrimSpace(text)) == "0"
}

// explain returns err, the error of loading the programs, with the reason.
func (k kernelProbe) explain(err error) error {
	reads := k.haveReads()
	switch {
	case errors.Is(reads, syscall.EPERM): // the other probes need the same capabilities
		return fmt.Errorf("bpf: load: %w", syscall.EPERM)
	case errors.Is(reads, ebpf.ErrNotSupported):
		return fmt.Errorf("bpf: load: %w", ErrLockedDown)
	case errors.Is(k.haveVersion(), ebpf.ErrNotSupported):
		return fmt.Errorf("bpf: load: requires Linux 5.10 or later: %w", ebpf.ErrNotSupported)
	}
	var rejected *ebpf.VerifierError
	switch isVerifier := errors.As(err, &rejected); {
	case errors.Is(err, syscall.EPERM) && k.memlock != nil:
		return fmt.Errorf("bpf: load: RLIMIT_MEMLOCK is too low: before Linux 5.11, "+
			"set it to unlimited (LimitMEMLOCK=infinity) or grant CAP_SYS_RESOURCE: %v", k.memlock)
	case errors.Is(err, syscall.EPERM):
		return fmt.Errorf("bpf: load: %w", syscall.EPERM)
	case k.jitDisabled():
		return fmt.Errorf("bpf: load: the BPF JIT compiler is disabled: set the sysctl net.core.bpf_jit_enable to 1: %w", err)
	case isVerifier:
		return &RejectedError{err: fmt.Errorf("bpf: load: %w", err), log: rejected}
	}
	return fmt.Errorf("bpf: load: %w", err)
}
