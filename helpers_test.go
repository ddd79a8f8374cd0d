package main

import (
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"
)

// testTimeout bounds the wait for something that takes milliseconds on an idle machine.
const testTimeout = 30 * time.Second

// eventually polls until ok returns true, and fails the test after testTimeout.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(testTimeout); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("timed out after %v waiting for %s", testTimeout, what)
		}
	}
}

func onlyLinux(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("processes can only be read on Linux")
	}
}

// need skips a test that needs a program which is not installed. In CI that is a failure.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	switch {
	case err == nil:
		return path
	case os.Getenv("CI") == "true":
		t.Fatalf("%s is not installed; testdata/prerequisites.sh installs it", program)
	default:
		t.Skipf("%s is not installed", program)
	}
	return ""
}
