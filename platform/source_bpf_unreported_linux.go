//go:build amd64 || arm64

package platform

import (
	"slices"

	"github.com/seed57308aee/process_exporter/procfs"
)

// An unreportedCheck finds processes that /proc lists and the BPF programs do not report.
// Some hardened kernels hide PID 1 from them. Two successive walks compare the lists, because
// one list may miss a process that starts, exits or calls execve during the walk.
type unreportedCheck struct {
	listed    []int // by /proc, before the scan of this walk; ascending
	suspected []int // missing in the first walk of the check
	count     int   // missing in both walks of the last check
}

// unreportedInterval is the number of walks from one check to the next.
const unreportedInterval = 1024

// begin lists the processes if a walk of a check follows.
func (c *unreportedCheck) begin(r *procfs.Reader, walk uint64) {
	c.listed = c.listed[:0]
	if walk%unreportedInterval > 1 {
		return
	}
	var err error
	if c.listed, err = r.AppendPIDs(c.listed); err != nil {
		c.listed = c.listed[:0]
	}
}

// end compares the list with the PIDs of the scan, which ascend. A listed process that has
// exited is not missing.
func (c *unreportedCheck) end(r *procfs.Reader, walk uint64, scanned []int) {
	if walk%unreportedInterval > 1 {
		return
	}
	missing := slices.DeleteFunc(c.listed, func(pid int) bool {
		if _, found := slices.BinarySearch(scanned, pid); found {
			return true
		}
		return !isLive(r, pid)
	})
	if walk%unreportedInterval == 0 {
		c.suspected = append(c.suspected[:0], missing...)
		return
	}
	c.count = 0
	for _, pid := range missing {
		if _, found := slices.BinarySearch(c.suspected, pid); found {
			c.count++
		}
	}
}

// isLive reports whether a process exists and is not being reaped. It reads status, which
// never blocks.
func isLive(r *procfs.Reader, pid int) bool {
	text, err := r.Read(pid, "status")
	if err != nil {
		return false
	}
	var st procfs.Status
	return procfs.ParseStatus(text, &st) == nil && st.State != 'X'
}
