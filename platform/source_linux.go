package platform

import (
	"fmt"
	"time"

	"github.com/seed57308aee/process_exporter/platform/internal/host"
)

func newSource(o Options) (Source, error) {
	proc, err := openProcfs(o)
	if err != nil {
		return nil, err
	}
	if o.Kind != SourceAuto && o.Kind != SourceBPF {
		return proc, nil
	}
	source, err := retryExhausted(func() (Source, error) { return openBPF(proc, o) }, time.Sleep)
	switch {
	case err == nil:
		return source, nil
	case o.Kind == SourceAuto:
		proc.bpfError = err
		return proc, nil
	}
	_ = proc.Close() // read only
	return nil, fmt.Errorf("platform: source %s: %w", SourceBPF, err)
}

// The attempts to open the source bpf while file descriptors or memory are exhausted.
const (
	openAttempts = 6
	openInterval = 500 * time.Millisecond
)

// retryExhausted opens a source, and tries again while file descriptors or memory are exhausted.
// A later attempt would fail: after the start the sandbox has dropped the capabilities that
// loading BPF programs requires.
func retryExhausted(open func() (Source, error), sleep func(time.Duration)) (source Source, err error) {
	for range openAttempts - 1 {
		if source, err = open(); err == nil || !host.ResourceExhausted(err) {
			return source, err
		}
		sleep(openInterval)
	}
	return open()
}
