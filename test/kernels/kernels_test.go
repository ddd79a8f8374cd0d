package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

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
	r, err := m.boot(t.Context(), image, t.TempDir(), "CHECKS=quick")
	for _, failure := range r.failures(err) {
		t.Error(failure)
	}
	for _, name := range r.checks {
		t.Log(name, r.status[name])
	}
}
