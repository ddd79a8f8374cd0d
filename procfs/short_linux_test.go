package procfs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestShortReads reads texts that come a byte, or half of what is left, at a
// time, from a FIFO in the place of each file. They have to be whole.
func TestShortReads(t *testing.T) {
	texts := map[string]string{"wchan": "linux-6.18/wchan"} // ends without a newline
	for _, file := range []string{"stat", "statm", "schedstat", "status", "io", "limits"} {
		texts[file] = "linux-6.18/" + file
	}
	sizes := map[string]func(left int) int{
		"bytes":  func(int) int { return 1 },
		"halves": func(left int) int { return (left + 1) / 2 },
	}
	readers := map[string]func(*Mount, string) ([]byte, error){
		"Reader": func(m *Mount, file string) ([]byte, error) { return NewReader(m).Read(10, file) },
		"Process": func(m *Mount, file string) ([]byte, error) {
			p, err := m.Process(10, nil)
			if err != nil {
				return nil, err
			}
			defer p.Close()
			return p.Read(nil, file)
		},
	}
	for file, name := range texts {
		for how, size := range sizes {
			for who, read := range readers {
				t.Run(file+"/"+how+"/"+who, func(t *testing.T) {
					text := fixture(t, name)
					m := openTree(t, shortTree(t, file, text, size))
					if got, err := read(m, file); err != nil || !bytes.Equal(got, text) {
						t.Errorf("got %q, error %v, want %q", got, err, text)
					}
				})
			}
		}
	}
}

func openTree(t *testing.T, root string) *Mount {
	t.Helper()
	m, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// TestKeptFileEndsInALine has a file that is kept open answer with less than a
// line. It has to be read in the usual way then.
func TestKeptFileEndsInALine(t *testing.T) {
	root := shortTree(t, "stat", nil, nil)
	path := filepath.Join(root, "10", "stat")
	whole := fixture(t, "linux-6.18/stat")
	for cut := range len(whole) {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		var room atomic.Int32
		room.Store(1)
		p, err := openTree(t, root).Process(10, &room)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			got, err := p.Read(make([]byte, 4096), "stat")
			if err != nil || !bytes.Equal(got, whole[:cut]) || ParseStat(got, new(Stat)) == nil {
				t.Errorf("got %q, error %v, want the first %d bytes, which are no stat", got, err, cut)
			}
		}
		p.Close()
	}
}

// TestTooLarge has files that are longer than any process makes them.
func TestTooLarge(t *testing.T) {
	root := shortTree(t, "cmdline", nil, nil)
	for file, bytes := range map[string]int64{"cmdline": maxWords + 1, "environ": maxWords, "smaps": maxText + 1, "maps": maxText - 1} {
		path := filepath.Join(root, "10", file)
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, bytes)); err != nil {
			t.Fatal(err)
		}
	}
	m := openTree(t, root)
	r := NewReader(m)
	p, err := m.Process(10, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	tests := []struct {
		name string
		read func() ([]byte, error)
		want int // bytes; 0 is an error
	}{
		{"the daemon's start of a command line", func() ([]byte, error) { return r.ReadPrefix(10, "cmdline") }, maxStart},
		{"the daemon's mappings", func() ([]byte, error) { return r.ReadAll(10, "smaps") }, 0},
		{"the daemon's, just short enough", func() ([]byte, error) { return r.ReadAll(10, "maps") }, maxText - 1},
		{"a command line", func() ([]byte, error) { return p.ReadAll(nil, "cmdline") }, 0},
		{"an environment, just short enough", func() ([]byte, error) { return p.ReadAll(nil, "environ") }, maxWords},
		{"mappings", func() ([]byte, error) { return p.ReadAll(nil, "smaps") }, maxText + 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text, err := tt.read()
			if len(text) != tt.want || errors.Is(err, ErrTooLarge) != (tt.want == 0) {
				t.Errorf("got %d bytes, error %v, want %d", len(text), err, tt.want)
			}
		})
	}
}

// shortTree writes a copy of /proc with one process, of which one file is a FIFO
// that gives its text once, in pieces of this size. Without a size there is none.
func shortTree(t *testing.T, file string, text []byte, size func(left int) int) (root string) {
	t.Helper()
	root = t.TempDir()
	dir := filepath.Join(root, "10")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "stat"), fixture(t, "linux-6.18/host_stat"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, file)
	if size == nil {
		return root
	}
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- give(path, text, size) }()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return root
}

// give writes each piece of text when the one before has been taken.
func give(path string, text []byte, size func(left int) int) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for len(text) > 0 {
		n, err := unix.Write(fd, text[:size(len(text))])
		if err != nil {
			return err
		}
		text = text[n:]
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Microsecond) {
			left, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
			if err != nil || left == 0 {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("%d bytes are not taken", left)
			}
		}
	}
	return nil
}
