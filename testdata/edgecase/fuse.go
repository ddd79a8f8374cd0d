//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What the kernel asks of a file system in user space, as <linux/fuse.h>
// numbers it.
const (
	fuseForget  = 2
	fuseGetattr = 3
	fuseSetattr = 4
	fuseOpen    = 14
	fuseRead    = 15
	fuseWrite   = 16
	fuseFlush   = 25
	fuseInit    = 26

	fuseInterrupt = 36
)

const fuseFileSize = 4096

// A fuseHeader comes before each question of the kernel.
type fuseHeader struct {
	Length, Opcode           uint32
	Unique, Node             uint64
	User, Group, PID, Unused uint32
}

// A fuseServer is a file system that is one file, mounted over another. To one
// kind of question it does not answer, but tells.
type fuseServer struct {
	fd     int
	silent uint32
	asked  chan bool
	told   bool         // what the file is like, which the kernel has to know once
	unmet  atomic.Int32 // questions not answered

	mu       sync.Mutex // guards what follows
	pending  []fuseHeader
	released bool // all questions are answered from now on
}

// serveFuse mounts such a file system, where only this process and its children
// see it, and starts a child that holds its file: "write,PATH" has the child
// wait with its memory map locked, in which no other may look, and "stat,PATH"
// has nobody learn more of the file that the child has open.
func serveFuse(how string) error {
	silence, path, _ := strings.Cut(how, ",")
	server := &fuseServer{silent: fuseWrite, asked: make(chan bool, 1)}
	if silence == "stat" {
		server.silent = fuseGetattr
	}
	if err := errors.Join(hideMounts(), server.mount(path)); err != nil {
		return err
	}
	go server.serve()
	child := exec.Command("/proc/self/exe", "hold="+how)
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := child.StdinPipe()
	if err != nil {
		return err
	}
	inputs = append(inputs, in)
	out, err := child.StdoutPipe()
	if err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return err
	}
	if said, err := io.ReadAll(io.LimitReader(out, int64(len("ready\n")))); string(said) != "ready\n" {
		return fmt.Errorf("the child said %q: %w", said, err)
	}
	if silence == "write" {
		<-server.asked
	}
	return nil
}

// hideMounts keeps what this thread mounts from now on to itself and the
// processes that it starts.
func hideMounts() error {
	return errors.Join(unix.Unshare(unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
}

func (s *fuseServer) mount(path string) error {
	fd, err := syscall.Open("/dev/fuse", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	s.fd = fd
	return errors.Join(os.WriteFile(path, nil, 0o600), unix.Mount("edgecase", path, "fuse", 0, fmt.Sprintf("fd=%d,rootmode=100600,user_id=0,group_id=0,allow_other", fd)))
}

func (s *fuseServer) serve() {
	question := make([]byte, 128<<10)
	for {
		n, err := syscall.Read(s.fd, question)
		if err != nil {
			return
		}
		var head fuseHeader
		if binary.Read(bytes.NewReader(question[:n]), binary.NativeEndian, &head) != nil {
			return
		}
		s.answer(&head)
	}
}

func (s *fuseServer) answer(head *fuseHeader) {
	if head.Opcode == s.silent && (s.told || s.silent != fuseGetattr) && s.keep(head) {
		s.unmet.Add(1)
		select {
		case s.asked <- true:
		default:
		}
		return
	}
	var answer []byte
	var errno syscall.Errno
	switch head.Opcode {
	case fuseInit:
		answer = fuseWords(7, 31, 0, 0, 0, 4096, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	case fuseGetattr, fuseSetattr:
		s.told = true
		const mode, links = unix.S_IFREG | 0o600, 1
		valid := uint32(3600)
		if s.silent == fuseGetattr {
			valid = 0 // the kernel has to ask again each time
		}
		answer = fuseWords(valid, 0, 0, 0, 1, 0, fuseFileSize, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, mode, links, 0, 0, 0, 4096, 0)
	case fuseOpen:
		answer = make([]byte, 16)
	case fuseRead:
		answer = make([]byte, fuseFileSize)
	case fuseWrite:
		answer = fuseWords(fuseFileSize, 0)
	case fuseFlush:
	case fuseForget, fuseInterrupt: // are not answered
		return
	default:
		errno = syscall.ENOSYS
	}
	reply := fuseWords(uint32(16+len(answer)), uint32(-int32(errno)))
	reply = binary.NativeEndian.AppendUint64(reply, head.Unique)
	_, _ = syscall.Write(s.fd, append(reply, answer...))
}

// keep reports whether a question stays without an answer, until release.
func (s *fuseServer) keep(head *fuseHeader) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.released {
		s.pending = append(s.pending, *head)
	}
	return !s.released
}

// release answers what was left without an answer.
func (s *fuseServer) release() {
	s.mu.Lock()
	s.released = true
	pending := s.pending
	s.mu.Unlock()
	for i := range pending {
		s.answer(&pending[i])
	}
}

func fuseWords(words ...uint32) []byte {
	var text []byte
	for _, word := range words {
		text = binary.NativeEndian.AppendUint32(text, word)
	}
	return text
}

// holdFuse is what the child of serveFuse does. To unmap memory that it has
// written to, the kernel waits until the file system has taken it.
func holdFuse(how string) error {
	silence, path, _ := strings.Cut(how, ",")
	fd, err := syscall.Open(path, syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	var info syscall.Stat_t
	if err := syscall.Fstat(fd, &info); err != nil || info.Size != fuseFileSize {
		return fmt.Errorf("the file has %d bytes: %w", info.Size, err)
	}
	if silence != "write" {
		return nil
	}
	memory, err := keep(fd, unix.MAP_SHARED, unix.PROT_READ|unix.PROT_WRITE, fuseFileSize)
	if err != nil {
		return err
	}
	memory[0] = 1
	fmt.Println("ready")
	_, err = unix.MmapPtr(-1, 0, unsafe.Pointer(&memory[0]), fuseFileSize, unix.PROT_READ, unix.MAP_FIXED|unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	return err
}
