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
)

// bytesOf returns a record as the kernel hands it over.
func bytesOf[T any](record *T) []byte {
	return slices.Clone(unsafe.Slice((*byte)(unsafe.Pointer(record)), unsafe.Sizeof(*record)))
}

// aLook is what a look at n processes, each with two threads, reads.
func aLook(n int) (text []byte) {
	for i := range int32(n) {
		text = append(text, bytesOf(&Process{Kind: kindProcess, Pid: 2*i + 1, Threads: 2})...)
		for tid := 2*i + 1; tid <= 2*i+2; tid++ {
			text = append(text, bytesOf(&Thread{Kind: kindThread, Pid: 2*i + 1, Tid: tid})...)
		}
	}
	return text
}

// scanAll returns the numbers of all processes and threads that s finds, and all
// processes as they are after the look.
func scanAll(s *Scanner, r io.Reader) (ids []int32, processes []*Process, err error) {
	s.start(io.NopCloser(r))
	for s.Scan() {
		if p := s.Process(); p != nil {
			ids, processes = append(ids, p.Pid), append(processes, p)
		} else {
			ids = append(ids, s.Thread().Tid)
		}
	}
	return ids, processes, s.Err()
}

// TestScannerReads finds the same records however the kernel divides them, more
// of them than a piece of memory holds, and in memory that was used before.
func TestScannerReads(t *testing.T) {
	const n = 3000
	text := aLook(n)
	var s Scanner
	for _, read := range []struct {
		name string
		from func(io.Reader) io.Reader
	}{
		{"whole", func(r io.Reader) io.Reader { return r }},
		{"halves", iotest.HalfReader},
		{"bytes", iotest.OneByteReader},
		{"with the end", iotest.DataErrReader},
	} {
		t.Run(read.name, func(t *testing.T) {
			ids, processes, err := scanAll(&s, read.from(bytes.NewReader(text)))
			if err != nil || len(ids) != 3*n || len(processes) != n {
				t.Fatalf("got %d records, %d of processes: %v", len(ids), len(processes), err)
			}
			for i, p := range processes {
				if want := int32(2*i + 1); p.Pid != want || ids[3*i] != want || ids[3*i+2] != want+1 {
					t.Fatalf("process %d: got %d with %v", want, p.Pid, ids[3*i:3*i+3])
				}
			}
		})
	}
}

// TestScannerMemory is kept for a look as large as the last, and not for one that
// is long past.
func TestScannerMemory(t *testing.T) {
	var s Scanner
	scan := func(n int) int {
		t.Helper()
		if _, _, err := scanAll(&s, bytes.NewReader(aLook(n))); err != nil {
			t.Fatal(err)
		}
		return len(s.pieces)
	}
	most := scan(5000)
	if scan(10); scan(10) >= most/2 {
		t.Errorf("%d pieces of memory are kept for ten processes", len(s.pieces))
	}
	text := aLook(10)
	r := bytes.NewReader(text)
	closer := io.NopCloser(r)
	if n := testing.AllocsPerRun(100, func() {
		r.Reset(text)
		s.start(closer)
		for s.Scan() {
		}
	}); n != 0 {
		t.Errorf("got %v allocations in memory that was used before, want 0", n)
	}
}

// FuzzScanner asserts that no answer of the kernel makes a Scanner panic, find
// more than there is, or find something else when it comes in other parts.
func FuzzScanner(f *testing.F) {
	f.Add(aLook(3))
	f.Add(aLook(1)[:300])
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

// FuzzEvents asserts that events of any bytes are told of as they are if they are
// whole, and that all others are refused.
func FuzzEvents(f *testing.F) {
	words := bytesOf(&Words{Kind: KindExit, ArgsLen: 5, Pid: 7})
	f.Add(words[:unsafe.Offsetof(Words{}.Args)+5])
	f.Add(words)
	f.Add(bytesOf(&Freed{Kind: kindFree, Tgid: 7}))
	f.Add([]byte{kindFree, 0, 0, 0})
	f.Fuzz(func(t *testing.T, record []byte) {
		e := &Events{ready: make(chan struct{}, 1)}
		e.room.L = &e.mu
		if !whole(record) {
			return
		}
		e.hold(record)
		e.hold(record)
		b := Batch{all: e.held, rest: e.held}
		count := 0
		for ; b.Next(); count++ {
			var got []byte
			if f := b.Freed(); f != nil {
				got = bytesOf(f)
			} else {
				got = bytesOf(b.Words())[:len(record)]
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

// TestWhole refuses events that are too short, too long or of no kind.
func TestWhole(t *testing.T) {
	const args = int(unsafe.Offsetof(Words{}.Args))
	freed, words := bytesOf(&Freed{Kind: kindFree}), bytesOf(&Words{Kind: KindExec, ArgsLen: 3})
	long := slices.Clone(words)
	binary.NativeEndian.PutUint32(long[4:], 1<<31)
	for _, tt := range []struct {
		name   string
		record []byte
		want   bool
	}{
		{"freed", freed, true},
		{"freed, cut", freed[:len(freed)-1], false},
		{"words", words[:args+3], true},
		{"words, cut", words[:args+2], false},
		{"words and more", words, false},
		{"more arguments than there is room for", long, false},
		{"no kind", make([]byte, args), false},
		{"next to nothing", freed[:4], false},
		{"nothing", nil, false},
	} {
		if got := whole(tt.record); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestScannerFails says what kept it from the end.
func TestScannerFails(t *testing.T) {
	var s Scanner
	broken := errors.New("broken")
	ids, _, err := scanAll(&s, io.MultiReader(bytes.NewReader(aLook(1)), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) || len(ids) != 3 {
		t.Errorf("got %v and %v", ids, err)
	}
	if _, _, err := scanAll(&s, bytes.NewReader(aLook(1)[:100])); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("half a record: got %v", err)
	}
}
