//go:build amd64 || arm64

package bpf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// TestLoadErrorReason checks the reason of a failed load for each answer of the kernel.
func TestLoadErrorReason(t *testing.T) {
	unsupported := fmt.Errorf("probe: %w", ebpf.ErrNotSupported)
	denied := fmt.Errorf("map create: %w (MEMLOCK may be too low, consider rlimit.RemoveMemlock)", syscall.EPERM)
	verifier := fmt.Errorf("program p: %w", &ebpf.VerifierError{Cause: syscall.EINVAL, Log: []string{"invalid func unknown#153"}})
	noJIT := fmt.Errorf("program p: load program: %w", syscall.Errno(524)) // ENOTSUPP
	tests := []struct {
		name               string
		err                error
		memlock            error
		version, reads     error
		jitDisabled        bool
		want               string
		is, isNot          error
		denied, isRejected bool
	}{
		{name: "no capability", err: denied, memlock: syscall.EPERM, version: unsupported, reads: syscall.EPERM,
			want: "bpf: load: operation not permitted", denied: true},
		{name: "Linux 5.9 with capabilities", err: denied, memlock: syscall.EPERM, version: unsupported,
			want: "requires Linux 5.10 or later", is: ebpf.ErrNotSupported},
		{name: "locked memory", err: denied, memlock: syscall.EPERM, want: "LimitMEMLOCK=infinity"},
		{name: "denied for another reason", err: denied, want: "bpf: load: operation not permitted", denied: true},
		{name: "Linux 5.9", err: verifier, version: unsupported, want: "requires Linux 5.10 or later", is: ebpf.ErrNotSupported},
		{name: "lockdown", err: verifier, reads: unsupported, want: "lockdown mode confidentiality",
			is: ErrLockedDown, isNot: ebpf.ErrNotSupported},
		{name: "lockdown of an old kernel", err: verifier, version: unsupported, reads: unsupported, want: "lockdown", is: ErrLockedDown},
		{name: "no JIT, verifier", err: verifier, jitDisabled: true, want: "net.core.bpf_jit_enable to 1"},
		{name: "no JIT, after the verifier", err: noJIT, jitDisabled: true, want: "net.core.bpf_jit_enable to 1"},
		{name: "rejected", err: verifier, want: "invalid func unknown#153", isRejected: true},
		{name: "other", err: syscall.ENOMEM, want: "cannot allocate memory", is: syscall.ENOMEM},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := kernelProbe{
				memlock:     tt.memlock,
				haveVersion: func() error { return tt.version },
				haveReads:   func() error { return tt.reads },
				jitDisabled: func() bool { return tt.jitDisabled },
			}
			err := k.explain(tt.err)
			if text := err.Error(); !strings.Contains(text, tt.want) || strings.Contains(text, "\n") || strings.Contains(text, "consider") {
				t.Errorf("got %q, want one line with %q", text, tt.want)
			}
			if tt.is != nil && !errors.Is(err, tt.is) || tt.isNot != nil && errors.Is(err, tt.isNot) {
				t.Errorf("got error %v, want one that matches %v", err, tt.is)
			}
			var rejected *RejectedError
			if got := errors.As(err, &rejected); got != tt.isRejected || IsDenied(err) != tt.denied {
				t.Errorf("got rejected %v, denied %v, want %v, %v", got, IsDenied(err), tt.isRejected, tt.denied)
			}
		})
	}
}

// TestKernelProbe checks the answers of a kernel that loads the programs.
func TestKernelProbe(t *testing.T) {
	loadOrSkip(t, Options{})
	k := newKernelProbe(nil)
	if version, reads := k.haveVersion(), k.haveReads(); version != nil || reads != nil || k.jitDisabled() {
		t.Errorf("got %v for the version, %v for bpf_probe_read, JIT disabled %v; want none", version, reads, k.jitDisabled())
	}
}

func TestJITDisabled(t *testing.T) {
	for text, want := range map[string]bool{"0\n": true, "1\n": false, "2\n": false, "": false} {
		path := filepath.Join(t.TempDir(), "bpf_jit_enable")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := jitDisabled(path); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
	if jitDisabled(filepath.Join(t.TempDir(), "missing")) {
		t.Error("got true without the file, want false")
	}
}

// TestHelpersOf510 checks that the programs call only helpers of Linux 5.10 and one that
// runs only on kernels with per-CPU RSS counters. They do not call the helpers that the JIT
// compiler of arm64 inlines: Linux 6.12 crashes in them if the JIT compiler is disabled.
func TestHelpersOf510(t *testing.T) {
	spec, err := loadTasks()
	if err != nil {
		t.Fatal(err)
	}
	inlined := []asm.BuiltinFunc{asm.FnGetCurrentTask, asm.FnGetCurrentTaskBtf, asm.FnGetSmpProcessorId}
	for name, program := range spec.Programs {
		for i, ins := range program.Instructions {
			helper := asm.BuiltinFunc(ins.Constant)
			newer := ins.IsBuiltinCall() && helper > asm.FnRedirectPeer && helper != asm.FnMapLookupPercpuElem
			if newer || ins.OpCode.IsDWordLoad() && ins.Src == asm.PseudoFunc {
				t.Errorf("%s, instruction %d: got %v, want a helper of Linux 5.10", name, i, ins)
			}
			if ins.IsBuiltinCall() && slices.Contains(inlined, helper) {
				t.Errorf("%s, instruction %d: got %v, which crashes Linux 6.12 on arm64", name, i, ins)
			}
		}
	}
}
