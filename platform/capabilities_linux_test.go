package platform

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestRaise(t *testing.T) {
	ptrace, bpf, admin := capabilityBits(unix.CAP_SYS_PTRACE), capabilityBits(unix.CAP_BPF), capabilityBits(unix.CAP_SYS_ADMIN)
	tests := []struct {
		name    string
		set     capabilitySet
		want    [2]uint32
		changed bool
	}{
		{"none permitted", capabilitySet{}, [2]uint32{}, false},
		{"permitted in the lower 32", capabilitySet{{Permitted: ptrace[0]}}, ptrace, true},
		{"permitted in the upper 32", capabilitySet{1: {Permitted: bpf[1]}}, bpf, true},
		{"effective already", capabilitySet{{Permitted: ptrace[0], Effective: ptrace[0]}}, ptrace, false},
		{"permitted but unused", capabilitySet{{Permitted: admin[0]}}, [2]uint32{}, false},
		{"effective stays effective",
			capabilitySet{{Permitted: admin[0] | ptrace[0], Effective: admin[0]}}, [2]uint32{admin[0] | ptrace[0]}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			permitted := [2]uint32{tt.set[0].Permitted, tt.set[1].Permitted}
			changed := tt.set.raise(usedCapabilities)
			if got := [2]uint32{tt.set[0].Effective, tt.set[1].Effective}; got != tt.want || changed != tt.changed {
				t.Errorf("got %x, changed %v; want %x, %v", got, changed, tt.want, tt.changed)
			}
			if got := [2]uint32{tt.set[0].Permitted, tt.set[1].Permitted}; got != permitted {
				t.Errorf("got permitted capabilities %x, want %x", got, permitted)
			}
		})
	}
}

// TestUsedCapabilities checks the capability numbers that the container image and the systemd
// units name.
func TestUsedCapabilities(t *testing.T) {
	if want := [2]uint32{1<<19 | 1<<2, 1<<(38-32) | 1<<(39-32)}; usedCapabilities != want {
		t.Errorf("got %x, want %x", usedCapabilities, want)
	}
}
