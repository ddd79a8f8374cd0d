package platform

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"
)

// TestRetryExhausted opens a source while file descriptors or memory are exhausted for some time.
func TestRetryExhausted(t *testing.T) {
	for _, tt := range []struct {
		name    string
		err     error
		failed  int // attempts
		want    int // attempts
		wantErr error
	}{
		{"no error", nil, 0, 1, nil},
		{"file descriptors of the system", syscall.ENFILE, 2, 3, nil},
		{"memory", fmt.Errorf("bpf: load: %w", syscall.ENOMEM), openAttempts - 1, openAttempts, nil},
		{"never enough", syscall.ENFILE, 100, openAttempts, syscall.ENFILE},
		{"no capability", syscall.EPERM, 100, 1, syscall.EPERM},
	} {
		t.Run(tt.name, func(t *testing.T) {
			attempts, slept := 0, time.Duration(0)
			src, err := retryExhausted(func() (Source, error) {
				if attempts++; attempts <= tt.failed {
					return nil, tt.err
				}
				return &procfsSource{}, nil
			}, func(d time.Duration) { slept += d })
			if attempts != tt.want || !errors.Is(err, tt.wantErr) || (src == nil) != (tt.wantErr != nil) {
				t.Errorf("got %d attempts, error %v, want %d, %v", attempts, err, tt.want, tt.wantErr)
			}
			if want := time.Duration(tt.want-1) * openInterval; slept != want {
				t.Errorf("slept %v, want %v", slept, want)
			}
		})
	}
}
