//go:build !linux

package webserver

// limitByOpenFiles returns want: the limit on open files is read only on Linux.
func limitByOpenFiles(want int) int { return want }
