//go:build amd64 || arm64

package platform

import (
	"bytes"
	"io"
	"slices"
	"testing"
	"unsafe"

	"github.com/seed57308aee/process_exporter/platform/bpf"
)

// The kinds of records of a scan (records.h).
const (
	recordProcess = 1
	recordThread  = 2
)

// A fakeScan is a list of records in the order in which the task iterator reports them.
type fakeScan []byte

func (s *fakeScan) process(pid int32, execID uint64) {
	*s = append(*s, recordBytes(&bpf.Process{Kind: recordProcess, Pid: pid, Threads: 1, ExecId: execID})...)
}

func (s *fakeScan) thread(pid, tid int32) {
	*s = append(*s, recordBytes(&bpf.Thread{Kind: recordThread, Pid: pid, Tid: tid})...)
}

func recordBytes[T any](record *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(record)), unsafe.Sizeof(*record))
}

// TestScanOrder scans while a thread calls execve(2) and gets the PID of its process: the
// iterator reports the process out of order, or twice. The scan starts again, and sorts the
// records if the order remains wrong.
func TestScanOrder(t *testing.T) {
	var ordered, late, twice fakeScan
	for _, pid := range []int32{1, 7, 9} {
		ordered.process(pid, uint64(pid))
	}
	late.process(1, 1)
	late.process(9, 9)
	late.thread(9, 12)
	late.process(7, 7) // found as TID 12 before it became the main thread
	late.thread(7, 11)
	twice.process(1, 1)
	twice.process(7, 6)
	twice.thread(7, 7)
	twice.thread(7, 7)
	twice.process(9, 9)
	twice.process(7, 7)
	for _, tt := range []struct {
		name        string
		scans       []fakeScan // the last one is repeated
		wantScans   int
		wantThreads []int32
	}{
		{"in order", []fakeScan{ordered}, 1, nil},
		{"out of order once", []fakeScan{late, ordered}, 2, nil},
		{"always out of order", []fakeScan{late}, maxScans, []int32{11, 12}},
		{"always twice", []fakeScan{twice}, maxScans, []int32{7}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			scans := 0
			b := &bpfSource{scanTasks: func(s *bpf.Scanner) error {
				s.Start(io.NopCloser(bytes.NewReader(tt.scans[min(scans, len(tt.scans)-1)])))
				scans++
				return nil
			}}
			if err := b.scan(); err != nil {
				t.Fatal(err)
			}
			if want := []int{1, 7, 9}; scans != tt.wantScans || !slices.Equal(b.scanned, want) || len(b.processes) != len(want) {
				t.Fatalf("got processes %v and %d records after %d scans, want %v after %d", b.scanned, len(b.processes), scans, want, tt.wantScans)
			}
			for i, p := range b.processes {
				if int(p.Pid) != b.scanned[i] || p.ExecId != uint64(p.Pid) {
					t.Errorf("got record of process %d with ExecId %d, want the newest of process %d", p.Pid, p.ExecId, b.scanned[i])
				}
			}
			var threads []int32
			for _, n := range b.threads {
				threads = append(threads, n.Tid)
			}
			if !slices.Equal(threads, tt.wantThreads) {
				t.Errorf("got threads %v, want %v", threads, tt.wantThreads)
			}
		})
	}
}
