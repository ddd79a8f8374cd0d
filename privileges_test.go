package main

import "testing"

func TestMissingFrom(t *testing.T) {
	const ptrace = "CAP_SYS_PTRACE (I/O, proportional memory, wait channels)"
	const search = "CAP_DAC_READ_SEARCH (I/O)"
	tests := []struct {
		name, status, want string
	}{
		{"root", "Name:\tx\nCapPrm:\t0\nCapEff:\t000001ffffffffff\n", ""},
		{"just the two", "CapEff:\t0000000000080004\n", ""},
		{"nobody", "CapEff:\t0000000000000000\n", ptrace + ", " + search},
		{"root in a container", "CapEff:\t00000000a80425fb\n", ptrace + ", " + search},
		{"one", "CapEff:\t0000000000080000\n", search},
		{"the other", "CapEff:\t0000000000000004\n", ptrace},
		{"a system without", "Name:\tx\n", ""},
		{"no number", "CapEff:\tzz\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := missingFrom([]byte(tt.status)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
