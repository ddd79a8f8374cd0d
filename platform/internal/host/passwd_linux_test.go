package host

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// testTimeout is the time after which a test fails.
const testTimeout = 30 * time.Second

// newTestPasswd returns a Passwd of a new file.
func newTestPasswd(t *testing.T, text string) (p *Passwd, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "passwd")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p = OpenPasswd(path)
	t.Cleanup(p.Close)
	return p, path
}

// waitForName refreshes p until user 10 has a name.
func waitForName(t *testing.T, p *Passwd, want string) {
	t.Helper()
	for deadline := time.Now().Add(testTimeout); ; time.Sleep(time.Millisecond) {
		p.Refresh()
		got := p.Name(10)
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("got name %q, want %q", got, want)
		}
	}
}

// TestPasswdChanges writes and replaces the file. Names change after a Refresh.
func TestPasswdChanges(t *testing.T) {
	p, path := newTestPasswd(t, "first:x:10:1::/:/bin/sh\n")
	waitForName(t, p, "first")
	if got := p.Name(4_000_000_000); got != "4000000000" {
		t.Errorf("got name %q of an unknown user, want its ID", got)
	}
	if err := os.WriteFile(path, []byte("second:x:10:1::/:/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	waitForName(t, p, "second")
	next := path + ".new"
	if err := errors.Join(os.WriteFile(next, []byte("third:x:10:1::/:/bin/sh\n"), 0o600), os.Rename(next, path)); err != nil {
		t.Fatal(err)
	}
	waitForName(t, p, "third")
	if err := errors.Join(os.Remove(path), unix.Mkfifo(path, 0o600)); err != nil {
		t.Fatal(err)
	}
	if text, err := readPasswd(path); err == nil {
		t.Errorf("got %q from a FIFO, want an error", text)
	}
	waitForName(t, p, "third")
	p.Close()
	waitForName(t, p, "third")
}

// TestPasswdReadFails lets a read of the changed file fail. The names must stay.
func TestPasswdReadFails(t *testing.T) {
	p, _ := newTestPasswd(t, "first:x:10:1::/:/bin/sh\n")
	waitForName(t, p, "first")
	p.read = func(string) ([]byte, error) { return nil, unix.EIO }
	p.load()
	if got := p.Name(10); got != "first" {
		t.Errorf("got name %q after a read that failed, want first", got)
	}
}

// TestPasswdBlocks blocks the read of the file. Refresh must not wait or start
// another read, and the names must stay. A change during the read is read after it.
func TestPasswdBlocks(t *testing.T) {
	p, path := newTestPasswd(t, "first:x:10:1::/:/bin/sh\n")
	waitForName(t, p, "first")
	var reads atomic.Int32
	entered, release := make(chan struct{}, 1), make(chan struct{})
	p.read = func(string) ([]byte, error) {
		reads.Add(1)
		entered <- struct{}{}
		<-release
		return []byte("second:x:10:1::/:/bin/sh\n"), nil
	}
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for len(entered) == 0 {
		p.Refresh()
	}
	for range 3 {
		if err := os.WriteFile(path, []byte("third:x:10:1::/:/bin/sh\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		p.Refresh()
	}
	if n, name := reads.Load(), p.Name(10); n != 1 || name != "first" {
		t.Errorf("got %d reads and name %q during a read that blocks, want 1 and first", n, name)
	}
	<-entered
	p.mu.Lock()
	p.read = readPasswd
	p.mu.Unlock()
	close(release)
	// The file changed during the read, so the next Refresh reads it again.
	waitForName(t, p, "third")
}

// TestPasswdBlocksFirst blocks the first read. Refresh must return.
func TestPasswdBlocksFirst(t *testing.T) {
	p, _ := newTestPasswd(t, "first:x:10:1::/:/bin/sh\n")
	release := make(chan struct{})
	p.read = func(path string) ([]byte, error) {
		<-release
		return readPasswd(path)
	}
	p.Refresh()
	if got := p.Name(10); got != "10" {
		t.Errorf("got name %q, want 10", got)
	}
	close(release)
	waitForName(t, p, "first")
}

func TestParsePasswdLine(t *testing.T) {
	tests := []struct {
		line, name string
		uid        uint32
		ok         bool
	}{
		{"root:x:0:0:root:/root:/bin/bash", "root", 0, true},
		{"_apt:*:42:65534::/nonexistent:/usr/sbin/nologin", "_apt", 42, true},
		{"nobody::4294967294:1::/:", "nobody", 4294967294, true},
		{"short:x:7:", "short", 7, true},
		{"invalid:x:4294967295:1::/:", "", 0, false},
		{"overflow:x:99999999999999999999:1::/:", "", 0, false},
		{"negative:x:-1:1::/:", "", 0, false},
		{"cut:x:12", "", 0, false},
		{"empty:x::1::/:", "", 0, false},
		{":x:3:1::/:", "", 0, false},
		{"# comment:x:3:1::/:", "", 0, false},
		{"+@nis:x:3:1::/:", "", 0, false},
		{"", "", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			line := []byte(tt.line)
			name, uid, ok := parsePasswdLine(line)
			if string(name) != tt.name || uid != tt.uid || ok != tt.ok {
				t.Errorf("got %q, %d, %v; want %q, %d, %v", name, uid, ok, tt.name, tt.uid, tt.ok)
			}
			if n := testing.AllocsPerRun(10, func() { _, _, _ = parsePasswdLine(line) }); n != 0 {
				t.Errorf("got %v allocations, want 0", n)
			}
		})
	}
	if names := parsePasswd([]byte("a:x:1:\nb:x:1:\nbad\nc:x:2:")); len(names) != 2 || names[1] != "a" || names[2] != "c" {
		t.Errorf("got %v, want the first name of user 1, and user 2", names)
	}
}

// FuzzParsePasswdLine checks that a line is parsed into its own parts.
func FuzzParsePasswdLine(f *testing.F) {
	f.Add("root:x:0:0:root:/root:/bin/bash")
	f.Add("a:b:00012:")
	f.Fuzz(func(t *testing.T, line string) {
		name, uid, ok := parsePasswdLine([]byte(line))
		if !ok {
			return
		}
		parts := filepath.SplitList(line) // separated by colons
		n, err := strconv.ParseUint(parts[2], 10, 32)
		if len(parts) < 4 || parts[0] != string(name) || err != nil || uint32(n) != uid {
			t.Errorf("got %q and %d from %q", name, uid, line)
		}
	})
}
