package platform

import "testing"

func TestExitReason(t *testing.T) {
	tests := []struct {
		status       uint32
		reason, code string
	}{
		{0, ReasonExited, "0"}, {255 << 8, ReasonExited, "255"}, {9, ReasonKilled, "SIGKILL"}, {11 | 0x80, ReasonDumped, "SIGSEGV"},
		{34, ReasonKilled, "SIGRTMIN"}, {64, ReasonKilled, "SIGRTMIN+30"}, {32, ReasonKilled, "32"},
	}
	for _, tt := range tests {
		if reason, code := (&Exit{Status: tt.status}).Reason(); reason != tt.reason || code != tt.code {
			t.Errorf("%#x: got %s %s, want %s %s", tt.status, reason, code, tt.reason, tt.code)
		}
	}
}
