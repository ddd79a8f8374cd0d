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

// Opcodes of FUSE requests, from <linux/fuse.h>.
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

// A fuseHeader precedes each FUSE request.
type fuseHeader struct {
	Length, Opcode           uint32
	Unique, Node             uint64
	User, Group, PID, Unused uint32
}

// A fuseServer is a FUSE file system that consists of one file, mounted over another file. It does not
// respond to requests with the opcode silent, but reports them in blocked.
type fuseServer struct {
	fd             int
	silent         uint32
	blocked        chan bool
	sentAttributes bool         // the attributes of the file were sent; the kernel requires them once
	unanswered     atomic.Int32 // requests without a response

	mu       sync.Mutex // guards the fields below
	pending  []fuseHeader
	released bool // the server responds to all requests
}

// serveFuse mounts such a file system in a private mount namespace, and starts a child that opens its
// file. With "write,PATH" the child blocks with a locked memory map, which no other process can read.
// With "stat,PATH" no process can read the attributes of the open file, and with "read,PATH" not its
// content.
func serveFuse(how string) error {
	silence, path, _ := strings.Cut(how, ",")
	silent, ok := map[string]uint32{"write": fuseWrite, "stat": fuseGetattr, "read": fuseRead}[silence]
	if !ok {
		return fmt.Errorf("unknown kind %q", silence)
	}
	server := &fuseServer{silent: silent, blocked: make(chan bool, 1)}
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
		return fmt.Errorf("the child printed %q: %w", said, err)
	}
	if silence == "write" {
		<-server.blocked
	}
	return nil
}

// hideMounts makes further mounts of this thread visible only to this process and its children.
func hideMounts() error {
	return errors.Join(unix.Unshare(unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
}

func (s *fuseServer) mount(path string) error {
	fd, err := syscall.Open("/dev/fuse", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	s.fd = fd
	return errors.Join(os.WriteFile(path, nil, 0o600), unix.Mount("edgecase", path, "fuse", 0,
		fmt.Sprintf("fd=%d,rootmode=100600,user_id=0,group_id=0,allow_other", fd)))
}

func (s *fuseServer) serve() {
	request := make([]byte, 128<<10)
	for {
		n, err := syscall.Read(s.fd, request)
		if err != nil {
			return
		}
		var head fuseHeader
		if binary.Read(bytes.NewReader(request[:n]), binary.NativeEndian, &head) != nil {
			return
		}
		s.answer(&head)
	}
}

func (s *fuseServer) answer(head *fuseHeader) {
	if head.Opcode == s.silent && (s.sentAttributes || s.silent != fuseGetattr) && s.keep(head) {
		s.unanswered.Add(1)
		select {
		case s.blocked <- true:
		default:
		}
		return
	}
	var answer []byte
	var errno syscall.Errno
	switch head.Opcode {
	case fuseInit:
		answer = fuseIntegers(7, 31, 0, 0, 0, 4096, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	case fuseGetattr, fuseSetattr:
		s.sentAttributes = true
		const mode, links = unix.S_IFREG | 0o600, 1
		valid := uint32(3600)
		if s.silent == fuseGetattr {
			valid = 0 // makes the kernel request it every time
		}
		answer = fuseIntegers(valid, 0, 0, 0, 1, 0, fuseFileSize, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, mode, links, 0, 0, 0, 4096, 0)
	case fuseOpen:
		answer = make([]byte, 16)
	case fuseRead:
		answer = make([]byte, fuseFileSize)
	case fuseWrite:
		answer = fuseIntegers(fuseFileSize, 0)
	case fuseFlush:
	case fuseForget, fuseInterrupt: // these have no response
		return
	default:
		errno = syscall.ENOSYS
	}
	reply := fuseIntegers(uint32(16+len(answer)), uint32(-int32(errno)))
	reply = binary.NativeEndian.AppendUint64(reply, head.Unique)
	_, _ = syscall.Write(s.fd, append(reply, answer...))
}

// keep stores a request that gets no response until release, and reports whether it did.
func (s *fuseServer) keep(head *fuseHeader) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.released {
		s.pending = append(s.pending, *head)
	}
	return !s.released
}

// release responds to all stored requests.
func (s *fuseServer) release() {
	s.mu.Lock()
	s.released = true
	pending := s.pending
	s.mu.Unlock()
	for i := range pending {
		s.answer(&pending[i])
	}
}

func fuseIntegers(words ...uint32) []byte {
	var text []byte
	for _, word := range words {
		text = binary.NativeEndian.AppendUint32(text, word)
	}
	return text
}

// holdFuse runs in the child of serveFuse. When memory with modified pages is unmapped, the kernel
// waits until the file system has written them.
func holdFuse(how string) error {
	silence, path, _ := strings.Cut(how, ",")
	fd, err := syscall.Open(path, syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	var info syscall.Stat_t
	if err := syscall.Fstat(fd, &info); err != nil || info.Size != fuseFileSize {
		return fmt.Errorf("got a file of %d bytes: %w", info.Size, err)
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
	_, err = unix.MmapPtr(-1, 0, unsafe.Pointer(&memory[0]), fuseFileSize, unix.PROT_READ,
		unix.MAP_FIXED|unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	return err
}
