//go:build amd64 || arm64

package platform

import (
	"bytes"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/seed57308aee/process_exporter/platform/bpf"
	"github.com/seed57308aee/process_exporter/platform/internal/host"
	"github.com/seed57308aee/process_exporter/procfs"
	"github.com/seed57308aee/process_exporter/test/procfstree"
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

// TestSelfTest compares scans of the own process with a copy of /proc. A difference that lasts
// for less than maxScans scans is not an error: the parent may exit in between.
func TestSelfTest(t *testing.T) {
	tree := procfstree.New(t, 1000)
	tree.Set(procfstree.Process{PID: os.Getpid(), PPID: 1, Comm: "own", Start: 5})
	mount, err := procfs.Open(tree.Root)
	if err != nil {
		t.Fatal(err)
	}
	defer mount.Close()
	record := func(pid, ppid int) fakeScan {
		p := &bpf.Process{Kind: recordProcess, Pid: int32(pid), Ppid: int32(ppid), Threads: 1, Start: 5, Comm: [16]int8{'o', 'w', 'n'}}
		return recordBytes(p)
	}
	for _, tt := range []struct {
		name      string
		different int // scans
		scan      fakeScan
		want      string // part of the error
		wantScans int
	}{
		{"equal", 0, nil, "", 1},
		{"other parent", 1, record(os.Getpid(), 7), "", 2},
		{"other parent in most scans", maxScans - 1, record(os.Getpid(), 7), "", maxScans},
		{"other parent in all scans", 100, record(os.Getpid(), 7), "disagree about this process", maxScans},
		{"missing", 100, record(os.Getpid()+1, 1), "do not report this process", maxScans},
	} {
		scans := 0
		b := &bpfSource{
			procfsSource: &procfsSource{mount: mount}, times: timeConverter{host.TickConverter{TickNanos: 1}},
			scanTasks: func(s *bpf.Scanner) error {
				records := record(os.Getpid(), 1)
				if scans++; scans <= tt.different {
					records = tt.scan
				}
				s.Start(io.NopCloser(bytes.NewReader(records)))
				return nil
			},
		}
		err := b.selfTest()
		if scans != tt.wantScans || (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v after %d scans, want %q after %d", tt.name, err, scans, tt.want, tt.wantScans)
		}
	}
}
