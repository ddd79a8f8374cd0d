//go:build amd64 || arm64

package platform

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/seed57308aee/process_exporter/procfs"
)

// An unreportedCheck finds processes that /proc lists and the BPF programs do not report.
// Some hardened kernels hide PID 1 from them. Two successive walks compare the lists, because
// one list may miss a process that starts, exits or calls execve during the walk. A process
// that calls execve all the time may be missing in both: more scans find it.
type unreportedCheck struct {
	listed    []int  // by /proc, before the scan of this walk; ascending
	suspected []int  // missing in the first walk of the check
	count     int    // missing in both walks of the last check
	list      string // PID and name of the first of them
}

// maxUnreportedList is the number of processes in unreportedCheck.list.
const maxUnreportedList = 5

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

// end compares the list with the PIDs of scans, which ascend. scanned are those of the last
// scan; scan repeats it. A listed process that has exited is not missing.
func (c *unreportedCheck) end(r *procfs.Reader, walk uint64, scanned []int, scan func() ([]int, error)) (err error) {
	if walk%unreportedInterval > 1 {
		return nil
	}
	missing := missingPIDs(r, c.listed, scanned)
	if walk%unreportedInterval == 0 {
		c.suspected = append(c.suspected[:0], missing...)
		return nil
	}
	missing = slices.DeleteFunc(missing, func(pid int) bool { return !slices.Contains(c.suspected, pid) })
	for i := 0; i < maxScans && len(missing) > 0; i++ {
		if scanned, err = scan(); err != nil {
			return err
		}
		missing = missingPIDs(r, missing, scanned)
	}
	c.count, c.list = len(missing), listProcesses(r, missing[:min(len(missing), maxUnreportedList)])
	return nil
}

// listProcesses returns the PIDs and the names of the processes that still exist. The
// first line of status is the name.
func listProcesses(r *procfs.Reader, pids []int) string {
	var list []string
	for _, pid := range pids {
		if text, err := r.Read(pid, "status"); err == nil {
			line, _, _ := bytes.Cut(text, []byte("\n"))
			list = append(list, fmt.Sprintf("%d (%s)", pid, bytes.TrimPrefix(line, []byte("Name:\t"))))
		}
	}
	return strings.Join(list, ", ")
}

// missingPIDs returns the live processes of a list that a scan has not found. It overwrites the
// list.
func missingPIDs(r *procfs.Reader, listed, scanned []int) []int {
	return slices.DeleteFunc(listed, func(pid int) bool {
		_, found := slices.BinarySearch(scanned, pid)
		return found || !isLive(r, pid)
	})
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
