//go:build !linux

package e2e

// prebuildPrometheus does nothing: the test that needs Prometheus 3 runs on Linux only.
func prebuildPrometheus() (stop func()) { return func() {} }
