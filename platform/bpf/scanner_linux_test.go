//go:build amd64 || arm64

package bpf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/iotest"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// bytesOf returns the memory of a record.
func bytesOf[T any](record *T) []byte {
	return slices.Clone(unsafe.Slice((*byte)(unsafe.Pointer(record)), unsafe.Sizeof(*record)))
}

// scanText returns the records of n processes with two threads each.
func scanText(n int) (text []byte) {
	for i := range int32(n) {
		text = append(text, bytesOf(&Process{Kind: kindProcess, Pid: 2*i + 1, Threads: 2})...)
		for tid := 2*i + 1; tid <= 2*i+2; tid++ {
			text = append(text, bytesOf(&Thread{Kind: kindThread, Pid: 2*i + 1, Tid: tid})...)
		}
	}
	return text
}

// scanAll returns the IDs of all processes and threads that s returns, and pointers to the
// processes, which stay valid after the iteration.
func scanAll(s *Scanner, r io.Reader) (ids []int32, processes []*Process, err error) {
	s.Start(io.NopCloser(r))
	for s.Scan() {
		if p := s.Process(); p != nil {
			ids, processes = append(ids, p.Pid), append(processes, p)
		} else {
			ids = append(ids, s.Thread().Tid)
		}
	}
	return ids, processes, s.Err()
}

// TestScannerReads checks that the division of records into reads does not matter. The
// records fill several blocks, and later iterations reuse memory.
func TestScannerReads(t *testing.T) {
	const n = 3000
	text := scanText(n)
	var s Scanner
	for _, read := range []struct {
		name string
		from func(io.Reader) io.Reader
	}{
		{"whole", func(r io.Reader) io.Reader { return r }},
		{"halves", iotest.HalfReader},
		{"bytes", iotest.OneByteReader},
		{"EOF with data", iotest.DataErrReader},
	} {
		t.Run(read.name, func(t *testing.T) {
			ids, processes, err := scanAll(&s, read.from(bytes.NewReader(text)))
			if err != nil || len(ids) != 3*n || len(processes) != n {
				t.Fatalf("got %d records, %d processes, error %v; want %d, %d", len(ids), len(processes), err, 3*n, n)
			}
			for i, p := range processes {
				if want := int32(2*i + 1); p.Pid != want || ids[3*i] != want || ids[3*i+2] != want+1 {
					t.Fatalf("process %d: got %d with %v", want, p.Pid, ids[3*i:3*i+3])
				}
			}
		})
	}
}

// TestScannerMemory checks that a Scanner reuses its memory and frees it after a much
// larger iteration.
func TestScannerMemory(t *testing.T) {
	var s Scanner
	scan := func(n int) int {
		t.Helper()
		if _, _, err := scanAll(&s, bytes.NewReader(scanText(n))); err != nil {
			t.Fatal(err)
		}
		return len(s.blocks)
	}
	most := scan(5000)
	if scan(10); scan(10) >= most/2 {
		t.Errorf("got %d blocks for ten processes, want less than %d", len(s.blocks), most/2)
	}
	text := scanText(10)
	r := bytes.NewReader(text)
	closer := io.NopCloser(r)
	if n := testing.AllocsPerRun(100, func() {
		r.Reset(text)
		s.Start(closer)
		for s.Scan() {
		}
	}); n != 0 {
		t.Errorf("got %v allocations with reused memory, want 0", n)
	}
}

// FuzzScanner checks that no input makes a Scanner panic or return more records than the
// input can contain, and that the division into reads does not matter.
func FuzzScanner(f *testing.F) {
	f.Add(scanText(3))
	f.Add(scanText(1)[:300])
	f.Add([]byte{9, 0, 0, 0})
	f.Fuzz(func(t *testing.T, text []byte) {
		var one, other Scanner
		ids, _, err := scanAll(&one, bytes.NewReader(text))
		again, _, otherErr := scanAll(&other, iotest.OneByteReader(bytes.NewReader(text)))
		if !slices.Equal(ids, again) || (err == nil) != (otherErr == nil) {
			t.Errorf("got %v, %v at once and %v, %v byte by byte", ids, err, again, otherErr)
		}
		if least := int(min(unsafe.Sizeof(Process{}), unsafe.Sizeof(Thread{}))); len(ids)*least > len(text) {
			t.Errorf("got %d records in %d bytes", len(ids), len(text))
		}
	})
}

// FuzzEvents checks that a Batch returns complete records unchanged. Other records are
// rejected.
func FuzzEvents(f *testing.F) {
	identity := bytesOf(&IdentityRecord{Kind: KindExit, ArgsLen: 5, Pid: 7})
	f.Add(identity[:unsafe.Offsetof(IdentityRecord{}.Args)+5])
	f.Add(identity)
	f.Add(bytesOf(&ReapedRecord{Kind: kindReaped, Tgid: 7}))
	f.Add([]byte{kindReaped, 0, 0, 0})
	f.Fuzz(func(t *testing.T, record []byte) {
		e := &Events{ready: make(chan struct{}, 1)}
		e.drained.L = &e.mu
		if !complete(record) {
			return
		}
		e.add(record)
		e.add(record)
		b := Batch{all: e.pending, rest: e.pending}
		count := 0
		for ; b.Next(); count++ {
			var got []byte
			if f := b.ReapedRecord(); f != nil {
				got = bytesOf(f)
			} else {
				got = bytesOf(b.IdentityRecord())[:len(record)]
			}
			if !bytes.Equal(got, record) {
				t.Errorf("got %x, want %x", got, record)
			}
		}
		if count != 2 {
			t.Errorf("got %d events, want 2", count)
		}
	})
}

// TestCompleteRecord rejects records that are too short, too long or of an unknown kind.
func TestCompleteRecord(t *testing.T) {
	const args = int(unsafe.Offsetof(IdentityRecord{}.Args))
	free, identity := bytesOf(&ReapedRecord{Kind: kindReaped}), bytesOf(&IdentityRecord{Kind: KindExec, ArgsLen: 3})
	long := slices.Clone(identity)
	binary.NativeEndian.PutUint32(long[4:], 1<<31)
	for _, tt := range []struct {
		name   string
		record []byte
		want   bool
	}{
		{"free record", free, true},
		{"truncated free record", free[:len(free)-1], false},
		{"identity record", identity[:args+3], true},
		{"truncated identity record", identity[:args+2], false},
		{"identity record with extra bytes", identity, false},
		{"argument length above the maximum", long, false},
		{"unknown kind", make([]byte, args), false},
		{"half a header", free[:4], false},
		{"empty", nil, false},
	} {
		if got := complete(tt.record); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
		events := newEvents()
		if err := events.handle(tt.record); (err == nil) != tt.want || (len(events.pending) > 0) != tt.want {
			t.Errorf("%s: got error %v and %d pending bytes, want pending bytes or an error", tt.name, err, len(events.pending))
		}
	}
}

// TestScannerErr checks the errors of a failing and of a truncated iteration.
func TestScannerErr(t *testing.T) {
	var s Scanner
	broken := errors.New("broken")
	ids, _, err := scanAll(&s, io.MultiReader(bytes.NewReader(scanText(1)), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) || len(ids) != 3 {
		t.Errorf("got IDs %v and error %v, want 3 IDs and the read error", ids, err)
	}
	if _, _, err := scanAll(&s, bytes.NewReader(scanText(1)[:100])); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("truncated record: got error %v, want ErrUnexpectedEOF", err)
	}
}

// A rawFile is a file descriptor from which a Scanner reads with raw system calls.
type rawFile int

func (f rawFile) Fd() uintptr { return uintptr(f) }

func (f rawFile) Read([]byte) (int, error) { return 0, errors.ErrUnsupported }

func (f rawFile) Close() error { return unix.Close(int(f)) }

// TestScannerAgain reads from a file that returns EAGAIN until it has data, as the kernel does
// after it has skipped a full batch of tasks.
func TestScannerAgain(t *testing.T) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	var s Scanner
	s.Start(rawFile(pipe[0]))
	scanned := make(chan bool)
	go func() { scanned <- s.Scan() }()
	write := func(text []byte) {
		if _, err := unix.Write(pipe[1], text); err != nil {
			t.Error(err)
		}
	}
	text := scanText(1)
	write(text[:10])
	testenv.Eventually(t, func() bool { // the scanner waits for the rest
		n, err := unix.IoctlGetInt(pipe[0], unix.TIOCINQ)
		return err == nil && n == 0
	})
	write(text[10:])
	if err := unix.Close(pipe[1]); err != nil {
		t.Error(err)
	}
	if !<-scanned || s.Process() == nil {
		t.Errorf("got no process, error %v, want one process", s.Err())
	}
	s.Stop()
}
