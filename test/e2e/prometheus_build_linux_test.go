package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"syscall"
)

// buildPrometheus builds Prometheus 3, which Debian does not have. With an empty build cache it takes
// minutes.
func buildPrometheus(ctx context.Context, niceness string) (program string, err error) {
	program = filepath.Join(filepath.Dir(binary), "prometheus")
	build := exec.CommandContext(ctx, "nice", "-n", niceness, "go", "build", "-tags", "remove_all_sd", "-o", program,
		"github.com/prometheus/prometheus/cmd/prometheus")
	build.Dir = "testdata/prometheus"
	build.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// The go command removes its files at SIGINT, and waits for its compilers, which end as well.
	build.Cancel = func() error { return syscall.Kill(-build.Process.Pid, syscall.SIGINT) }
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build Prometheus: %w: %s", err, out)
	}
	return program, nil
}

// stopPrebuild stops the build that TestMain starts at a low priority, and waits for its end.
var stopPrebuild = func() {}

// prebuildPrometheus starts a build of Prometheus at a low priority.
func prebuildPrometheus() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = buildPrometheus(ctx, "19") // TestStartTimestamps has the error
	}()
	stopPrebuild = func() {
		cancel()
		<-ended
	}
	return stopPrebuild
}
