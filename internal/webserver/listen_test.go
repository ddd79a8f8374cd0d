package webserver

import "testing"

func TestVsockPort(t *testing.T) {
	tests := []struct {
		name, address string
		want          uint32
		ok            bool
	}{
		{"usual", "vsock://:9256", 9256, true},
		{"more than 16 bits", "vsock://:4000000000", 4000000000, true},
		{"no port", "vsock://", 0, false},
		{"no number", "vsock://:x", 0, false},
		{"too large", "vsock://:5000000000", 0, false},
		{"path", "vsock://:1/x", 0, false},
		{"invalid URL", "vsock://[", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := vsockPort(tt.address)
			if got != tt.want || (err == nil) != tt.ok {
				t.Errorf("got %d and error %v, want %d and success %v", got, err, tt.want, tt.ok)
			}
		})
	}
}
