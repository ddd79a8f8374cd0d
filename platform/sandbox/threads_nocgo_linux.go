//go:build !cgo

package sandbox

// usesCgo reports whether the C library starts threads.
const usesCgo = false

// checkThreads returns nil: without cgo, the Go runtime knows all threads.
func checkThreads() error { return nil }
