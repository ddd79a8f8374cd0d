//go:build amd64 || arm64

package bpf

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// The records of sockets, in the memory layout of socket_records.h.
type (
	Socket         = socketsSocketRecord   // a socket that a process has open
	ClosedSocket   = socketsClosedRecord   // a TCP connection or listening socket that was closed
	SocketCounters = socketsSocketCounters // the counters of a socket
)

// The types of a Socket (socket_records.h).
const (
	SocketTCP = iota + 1
	SocketMPTCP
	SocketSubflow
	SocketUDP
	SocketUnix
)

// The flags of a Socket and of a ClosedSocket (socket_records.h).
const (
	SocketCreated     = 1 << iota // connected, established or listening after Load
	SocketOutgoing                // by connect(2)
	SocketOwnerClosed             // the process closed it, and no other process had it open
	SocketEnded                   // the connection has ended, but its socket is open
)

// SocketOptions selects how the socket programs report.
type SocketOptions struct {
	// Closed is called for each closed socket, by one goroutine at a time. The record is valid
	// during the call.
	Closed func(*ClosedSocket)

	// RingSize is the size of the ring buffer in bytes, a power of 2 and a multiple of the page
	// size; 0 is 2 MiB. Tests use it.
	RingSize int

	// MaxSockets is the maximum number of connections and listening sockets at a time; 0 is
	// 131,072. Tests use it.
	MaxSockets int
}

// SocketPrograms are the loaded programs that report sockets. They stay attached until Close.
type SocketPrograms struct {
	loaded
	lostCount uint64 // result of Lost, kept here so that it allocates nothing

	fd     int    // of the current iteration, or -1
	buf    []byte // records of the last read
	start  int    // offset of the first record that Next has not returned
	length int    // bytes in buf
}

// scanBuffer is the size of the buffer of an iteration. The kernel returns up to 32 KiB per read.
const scanBuffer = 64 << 10

// LoadSockets loads and attaches the socket programs. Its errors are those of [Load].
func LoadSockets(o SocketOptions) (*SocketPrograms, error) {
	// Linux 6.10 and later for arm64 crash in bpf_get_current_task() without JIT compiler.
	if runtime.GOARCH == "arm64" && jitDisabled("/proc/sys/net/core/bpf_jit_enable") {
		return nil, errors.New("bpf: the BPF JIT compiler is disabled: set the sysctl net.core.bpf_jit_enable to 1")
	}
	spec, err := loadSockets()
	if err != nil {
		return nil, fmt.Errorf("bpf: %w", err)
	}
	kernel, err := kernelTypes()
	if err != nil {
		return nil, err
	}
	ns, err := ownNamespace(kernel)
	if err != nil {
		return nil, err
	}
	if err := setSocketConstants(spec, ns, o); err != nil {
		return nil, fmt.Errorf("bpf: %w", err)
	}
	l, err := newLoaded(spec, kernel, "closed_sockets", "lost_sockets")
	if err != nil {
		return nil, err
	}
	p := &SocketPrograms{loaded: l, fd: -1, buf: make([]byte, scanBuffer)}
	err = p.attach("iterate_sockets", p.firstScan, "closed_sockets", func(record []byte) error {
		if len(record) != int(unsafe.Sizeof(ClosedSocket{})) {
			return fmt.Errorf("record of %d bytes of a closed socket", len(record))
		}
		o.Closed((*ClosedSocket)(unsafe.Pointer(&record[0])))
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func setSocketConstants(spec *ebpf.CollectionSpec, ns pidNamespace, o SocketOptions) error {
	if o.RingSize > 0 {
		spec.Maps["closed_sockets"].MaxEntries = uint32(o.RingSize)
	}
	if o.MaxSockets > 0 {
		spec.Maps["sockets"].MaxEntries = uint32(o.MaxSockets)
	}
	return errors.Join(
		ns.set(spec),
		spec.Variables["own_pid"].Set(int32(os.Getpid())),
		spec.Variables["ring_size"].Set(uint64(spec.Maps["closed_sockets"].MaxEntries)))
}

// firstScan runs the iterator until it has reported the first sockets.
func (p *SocketPrograms) firstScan() error {
	if err := p.Scan(); err != nil {
		return err
	}
	defer p.Stop()
	_, err := p.Next()
	return err
}

// iterCreate is the argument of BPF_ITER_CREATE.
type iterCreate struct{ link, flags uint32 }

// Scan starts an iteration over the open sockets of all processes, ascending by PID.
func (p *SocketPrograms) Scan() error {
	p.Stop()
	arg := iterCreate{link: uint32(p.iterator.FD())}
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_ITER_CREATE, uintptr(unsafe.Pointer(&arg)), unsafe.Sizeof(arg))
	if errno != 0 {
		return fmt.Errorf("bpf: create iterator of sockets: %w", errno)
	}
	p.fd, p.start, p.length = int(fd), 0, 0
	return nil
}

// recordSize is the size of a Socket in bytes.
const recordSize = int(unsafe.Sizeof(Socket{}))

// Next returns further sockets, or none at the end of the iteration. They are valid until the
// next call.
func (p *SocketPrograms) Next() ([]Socket, error) {
	for {
		p.length = copy(p.buf, p.buf[p.start:p.length]) // an incomplete record
		p.start = 0
		// A raw system call, as in Scanner.read.
		n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(p.fd), uintptr(unsafe.Pointer(&p.buf[p.length])), uintptr(len(p.buf)-p.length))
		switch {
		case errno == unix.EINTR, errno == unix.EAGAIN: // EAGAIN: many files, but no socket
			continue
		case errno != 0:
			return nil, fmt.Errorf("bpf: read sockets: %w", errno)
		case n == 0 && p.length > 0:
			return nil, errors.New("bpf: read sockets: truncated record")
		case n == 0:
			return nil, nil
		}
		p.length += int(n)
		if records := p.length / recordSize; records > 0 {
			p.start = records * recordSize
			return unsafe.Slice((*Socket)(unsafe.Pointer(&p.buf[0])), records), nil
		}
	}
}

// Stop ends the iteration, if there is one.
func (p *SocketPrograms) Stop() {
	if p.fd >= 0 {
		_ = unix.Close(p.fd) // read only
		p.fd = -1
	}
}

// Flush returns when SocketOptions.Closed has been called for all sockets that were closed
// before Flush.
func (p *SocketPrograms) Flush() error { return p.ring.flush() }

// Lost returns the number of connections and listening sockets since Load whose counters were
// lost, because the map of sockets was full when they started, or the ring buffer when they closed.
func (p *SocketPrograms) Lost() (uint64, error) {
	err := p.lost("lost_sockets", &p.lostCount)
	return p.lostCount, err
}

// Close detaches and unloads the programs.
func (p *SocketPrograms) Close() error {
	p.Stop()
	return p.loaded.Close()
}
