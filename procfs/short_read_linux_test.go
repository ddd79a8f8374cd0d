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

// TestShortReads reads from a FIFO instead of each file. It returns one byte, or
// half of the remaining text, per read. The result must be the complete text.
func TestShortReads(t *testing.T) {
	texts := map[string]string{"wchan": "linux-6.18/wchan"} // has no newline at the end
	for _, file := range []string{"stat", "statm", "schedstat", "status", "io", "limits"} {
		texts[file] = "linux-6.18/" + file
	}
	sizes := map[string]func(left int) int{
		"bytes":  func(int) int { return 1 },
		"halves": func(left int) int { return (left + 1) / 2 },
	}
	readers := map[string]func(*Mount, string) ([]byte, error){
		"Reader": func(m *Mount, file string) ([]byte, error) { return NewReader(m).Read(10, file) },
		"ProcessDir": func(m *Mount, file string) ([]byte, error) {
			p, err := m.OpenProcess(10, nil)
			if err != nil {
				return nil, err
			}
			defer p.Close()
			return p.Read(nil, file)
		},
	}
	for file, name := range texts {
		for how, size := range sizes {
			for reader, read := range readers {
				t.Run(file+"/"+how+"/"+reader, func(t *testing.T) {
					text := fixture(t, name)
					m := openMount(t, newTree(t, file, text, size))
					if got, err := read(m, file); err != nil || !bytes.Equal(got, text) {
						t.Errorf("got %q and error %v, want %q", got, err, text)
					}
				})
			}
		}
	}
}

func openMount(t *testing.T, root string) *Mount {
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

// TestCachedFileShortRead truncates a cached file within a line. It must then be
// read until read returns 0 bytes.
func TestCachedFileShortRead(t *testing.T) {
	root := newTree(t, "stat", nil, nil)
	path := filepath.Join(root, "10", "stat")
	complete := fixture(t, "linux-6.18/stat")
	for cut := range len(complete) {
		if err := os.WriteFile(path, complete[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		var budget atomic.Int32
		budget.Store(1)
		p, err := openMount(t, root).OpenProcess(10, &budget)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			got, err := p.Read(make([]byte, 4096), "stat")
			if err != nil || !bytes.Equal(got, complete[:cut]) || ParseStat(got, new(Stat)) == nil {
				t.Errorf("got %q and error %v, want the first %d bytes, which are an invalid stat", got, err, cut)
			}
		}
		p.Close()
	}
}

// TestTooLarge reads files above and just below the size limits.
func TestTooLarge(t *testing.T) {
	root := newTree(t, "cmdline", nil, nil)
	sizes := map[string]int64{"cmdline": maxProcessArgs + 1, "environ": maxProcessArgs, "smaps": maxFile + 1, "maps": maxFile - 1}
	for file, bytes := range sizes {
		path := filepath.Join(root, "10", file)
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, bytes)); err != nil {
			t.Fatal(err)
		}
	}
	m := openMount(t, root)
	r := NewReader(m)
	p, err := m.OpenProcess(10, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	tests := []struct {
		name string
		read func() ([]byte, error)
		want int // bytes; 0 for an error
	}{
		{"Reader: prefix of a command line", func() ([]byte, error) { return r.ReadPrefix(10, "cmdline") }, maxPrefix},
		{"Reader: smaps", func() ([]byte, error) { return r.ReadAll(10, "smaps") }, 0},
		{"Reader: maps below the limit", func() ([]byte, error) { return r.ReadAll(10, "maps") }, maxFile - 1},
		{"ProcessDir: command line", func() ([]byte, error) { return p.ReadAll(nil, "cmdline") }, 0},
		{"ProcessDir: environment at the limit", func() ([]byte, error) { return p.ReadAll(nil, "environ") }, maxProcessArgs},
		{"ProcessDir: smaps", func() ([]byte, error) { return p.ReadAll(nil, "smaps") }, maxFile + 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text, err := tt.read()
			if len(text) != tt.want || errors.Is(err, ErrTooLarge) != (tt.want == 0) {
				t.Errorf("got %d bytes and error %v, want %d", len(text), err, tt.want)
			}
		})
	}
}

// TestReadHostFIFO has a FIFO in place of a file about the machine. It is empty: a
// read must not wait for a writer.
func TestReadHostFIFO(t *testing.T) {
	root := newTree(t, "", nil, nil)
	path := filepath.Join(root, "uptime")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	read := make(chan error, 1)
	go func() {
		text, err := NewReader(m).ReadHost("uptime")
		if len(text) > 0 {
			err = fmt.Errorf("got %q, want no text", text)
		}
		read <- err
	}()
	select {
	case err = <-read:
	case <-time.After(10 * time.Second):
		writer, _ := unix.Open(path, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		err = errors.Join(errors.New("got a read that waits for a writer"), unix.Close(writer), <-read)
	}
	if err != nil {
		t.Error(err)
	}
}

// newTree writes a tree like /proc with one process. One of its files is a FIFO
// that returns text once, in pieces of the given size. If size is nil, there is no
// FIFO.
func newTree(t *testing.T, file string, text []byte, size func(left int) int) (root string) {
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
	go func() { done <- feed(path, text, size) }()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return root
}

// feed writes each piece of text after the previous one has been read.
func feed(path string, text []byte, size func(left int) int) error {
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
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Microsecond) {
			unread, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
			if err != nil || unread == 0 {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("timed out with %d unread bytes", unread)
			}
		}
	}
	return nil
}
