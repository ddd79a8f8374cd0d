//go:build !linux

package webserver

// hasReceivedBytes returns false: TCP_INFO is read only on Linux.
func hasReceivedBytes(any) bool { return false }

// acceptQueueLength returns 0: TCP_INFO is read only on Linux.
func acceptQueueLength(any) int { return 0 }
