package host

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// PasswdPath is the file of user names.
	PasswdPath = "/etc/passwd"

	// maxPasswdBytes is the maximum size of the file.
	maxPasswdBytes = 16 << 20

	// firstLoadTimeout is how long the first Refresh waits for the file.
	firstLoadTimeout = time.Second
)

// A Passwd holds the user names of passwd(5). A goroutine reads the file in the
// first Refresh and after changes, so that a file system that does not respond
// delays no caller. Until a read succeeds, the previous names stay. Its methods are
// safe for concurrent use.
type Passwd struct {
	path  string
	watch int // inotify instance that watches the directory of path, -1 without one
	read  func(path string) ([]byte, error)

	mu      sync.Mutex // guards the fields below
	names   map[uint32]string
	started bool
	loading bool // a goroutine reads the file
}

// OpenPasswd returns a Passwd without names. It watches the directory of path, but
// does not open the file. If inotify(7) is not available, the file is read once.
func OpenPasswd(path string) *Passwd {
	p := &Passwd{path: path, watch: -1, read: readPasswd}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return p
	}
	if _, err := unix.InotifyAddWatch(fd, filepath.Dir(path), unix.IN_CLOSE_WRITE|unix.IN_MOVED_TO); err != nil {
		_ = unix.Close(fd) // has no events
		return p
	}
	p.watch = fd
	return p
}

// Close stops watching. It does not wait for a read in progress.
func (p *Passwd) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.watch >= 0 {
		_ = unix.Close(p.watch) // events are no longer of interest
		p.watch = -1
	}
}

// Refresh starts to read the file in the first call and after a change in its
// directory. Only the first call waits for the result, at most firstLoadTimeout.
func (p *Passwd) Refresh() {
	p.mu.Lock()
	first := !p.started
	if p.loading || !first && !p.changed() {
		p.mu.Unlock()
		return
	}
	p.started, p.loading = true, true
	p.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.load()
	}()
	if first {
		timer := time.NewTimer(firstLoadTimeout)
		defer timer.Stop()
		select {
		case <-done:
		case <-timer.C:
		}
	}
}

// changed reports whether a file in the directory has been written or replaced
// since the last call. It does not block. The caller holds mu.
func (p *Passwd) changed() bool {
	var events [4 << 10]byte
	if p.watch < 0 {
		return false
	}
	n, err := unix.Read(p.watch, events[:])
	return err == nil && n > 0
}

// load reads the file. It keeps the names after an error.
func (p *Passwd) load() {
	text, err := p.read(p.path)
	var names map[uint32]string
	if err == nil {
		names = parsePasswd(text)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.loading = false
	if err == nil {
		p.names = names
	}
}

// Name returns the name of a user, or the decimal user ID if it has no name.
func (p *Passwd) Name(uid uint32) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if name, ok := p.names[uid]; ok {
		return name
	}
	return strconv.FormatUint(uint64(uid), 10)
}

// readPasswd reads a regular file. It refuses others, because reading them can
// block or be endless.
func readPasswd(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("host: " + path + " is not a regular file")
	case info.Size() > maxPasswdBytes:
		return nil, fmt.Errorf("host: %s has more than %d bytes", path, maxPasswdBytes)
	}
	return io.ReadAll(io.LimitReader(f, maxPasswdBytes))
}

// parsePasswd returns the names of a passwd file by user ID. As in getpwuid(3), the
// first line of a user ID counts.
func parsePasswd(text []byte) map[uint32]string {
	names := make(map[uint32]string)
	for len(text) > 0 {
		var line []byte
		line, text, _ = bytes.Cut(text, []byte{'\n'})
		name, uid, ok := parsePasswdLine(line)
		if _, known := names[uid]; ok && !known {
			names[uid] = string(name)
		}
	}
	return names
}

// parsePasswdLine returns the name and user ID of a line. ok is false for comments,
// NIS entries and malformed lines. It does not allocate.
func parsePasswdLine(line []byte) (name []byte, uid uint32, ok bool) {
	colon := []byte{':'}
	name, rest, _ := bytes.Cut(line, colon)
	_, rest, found := bytes.Cut(rest, colon) // password
	digits, _, whole := bytes.Cut(rest, colon)
	if !found || !whole || len(name) == 0 || bytes.IndexByte([]byte("#+-"), name[0]) >= 0 || len(digits) == 0 {
		return nil, 0, false
	}
	var n uint64
	for _, d := range digits {
		if d < '0' || d > '9' || n > 1<<32 {
			return nil, 0, false
		}
		n = 10*n + uint64(d-'0')
	}
	if n >= 1<<32-1 { // (uid_t)-1 is no user
		return nil, 0, false
	}
	return name, uint32(n), true
}
