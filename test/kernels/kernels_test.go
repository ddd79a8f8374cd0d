package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestHangingMachine stops a machine that does not run its last check. The error has the
// end of the console, and the results of the checks before remain.
func TestHangingMachine(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	console := filepath.Join(t.TempDir(), "console")
	go func() {
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if text, _ := os.ReadFile(console); strings.Contains(string(text), "stall") {
				break
			}
		}
		cancel()
	}()
	emulator := exec.CommandContext(ctx, "sh", "-c", "echo CHECK one: ok; echo rcu: CPU stall; exec sleep 600")
	r, err := runChecks(emulator, console)
	if err == nil || !strings.Contains(err.Error(), "rcu: CPU stall") || !strings.Contains(err.Error(), "killed") {
		t.Errorf("got error %v, want the end of the console", err)
	}
	if r.status["one"] != "ok" || len(r.failures(err)) != 1 {
		t.Errorf("got checks %v, want one", r.status)
	}
}

// TestRetryBoot boots again after a crash during the start of the kernel, and not after one
// that follows a check.
func TestRetryBoot(t *testing.T) {
	crash, started := errors.New("crash"), &result{checks: []string{"set up"}}
	for _, tt := range []struct {
		name    string
		results []*result // of crashes; the boot after them has no error
		want    int       // boots
		wantErr error
	}{
		{"no crash", nil, 1, nil},
		{"one crash", []*result{{}}, 2, nil},
		{"only crashes", []*result{{}, {}, {}, {}}, maxBoots, crash},
		{"crash after a check", []*result{started}, 1, crash},
	} {
		boots := 0
		_, err := retryBoot(func() (*result, error) {
			boots++
			if boots <= len(tt.results) {
				return tt.results[boots-1], crash
			}
			return started, nil
		})
		if boots != tt.want || !errors.Is(err, tt.wantErr) {
			t.Errorf("%s: got %d boots, error %v, want %d, %v", tt.name, boots, err, tt.want, tt.wantErr)
		}
	}
}

// TestKernel boots Linux 6.1, where the environment permits it, with the checks that take
// the least time. Command kernels runs all of them on all machines.
func TestKernel(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a machine")
	}
	isRequired := os.Getenv("CI") == "true"
	skip := func(err error) {
		t.Helper()
		if isRequired {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	m := machine{bookworm, 2, 1500}
	if _, err := exec.LookPath(emulators[m.arch][0]); err != nil {
		skip(err)
	}
	cache := filepath.Join("..", "..", ".cache", "kernels")
	image, err := m.image(cache)
	if err != nil { // such as no network
		skip(err)
	}
	dir := t.TempDir()
	r, err := retryBoot(func() (*result, error) {
		return m.boot(t.Context(), image, dir, `SKIP="112 short-lived|CAP_SYS_PTRACE|hidepid|no JIT"`)
	})
	for _, failure := range r.failures(err) {
		t.Error(failure)
	}
	for _, name := range r.checks {
		t.Log(name, r.status[name])
	}
}
