//go:build amd64 || arm64

package bpf

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/cilium/ebpf/rlimit"
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
	SocketCreated     = 1 << iota // connected or established after Load
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
	collection  *ebpf.Collection
	iterator    *link.Iter
	tracepoints []link.Link
	lost        *ebpf.Variable
	lostCount   uint64 // result of Lost, kept here so that it allocates nothing
	closed      *closedSockets

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
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		return nil, fmt.Errorf("bpf: cannot read kernel types from /sys/kernel/btf/vmlinux "+
			"(requires CONFIG_DEBUG_INFO_BTF; in a container, mount /sys): %w", err)
	}
	if err := setSocketConstants(spec, o); err != nil {
		return nil, fmt.Errorf("bpf: %w", err)
	}
	memlock := rlimit.RemoveMemlock()
	collection, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{
		Programs: ebpf.ProgramOptions{KernelTypes: kernel},
	})
	if err != nil {
		return nil, newKernelProbe(memlock).explain(err)
	}
	p := &SocketPrograms{
		collection: collection, lost: collection.Variables["lost_sockets"], fd: -1, buf: make([]byte, scanBuffer),
	}
	if err := p.attach(o); err != nil {
		p.Close()
		return nil, fmt.Errorf("bpf: attach: %w", err)
	}
	return p, nil
}

func setSocketConstants(spec *ebpf.CollectionSpec, o SocketOptions) error {
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &st); err != nil {
		return fmt.Errorf("cannot read PID namespace: %w", err)
	}
	if o.RingSize > 0 {
		spec.Maps["closed_sockets"].MaxEntries = uint32(o.RingSize)
	}
	if o.MaxSockets > 0 {
		spec.Maps["sockets"].MaxEntries = uint32(o.MaxSockets)
	}
	return errors.Join(
		spec.Variables["own_ns"].Set(uint32(st.Ino)),
		spec.Variables["own_pid"].Set(int32(os.Getpid())),
		spec.Variables["ring_size"].Set(uint64(spec.Maps["closed_sockets"].MaxEntries)))
}

func (p *SocketPrograms) attach(o SocketOptions) (err error) {
	if p.iterator, err = link.AttachIter(link.IterOptions{Program: p.collection.Programs["iterate_sockets"]}); err != nil {
		return err
	}
	if err := p.findOwnLevel(); err != nil {
		return err
	}
	for name, program := range p.collection.Programs {
		if name == "iterate_sockets" {
			continue
		}
		tracepoint, err := link.AttachTracing(link.TracingOptions{Program: program})
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		p.tracepoints = append(p.tracepoints, tracepoint)
	}
	reader, err := ringbuf.NewReader(p.collection.Maps["closed_sockets"])
	if err != nil {
		return err
	}
	p.closed = newClosedSockets(reader, o.Closed)
	return nil
}

// findOwnLevel runs the iterator for the first task with an open file: this sets own_level, which
// the other programs need.
func (p *SocketPrograms) findOwnLevel() error {
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
func (p *SocketPrograms) Flush() error { return p.closed.flush() }

// Lost returns the number of closed sockets since Load whose counters were lost, because the
// ring buffer was full or there were too many sockets.
func (p *SocketPrograms) Lost() (uint64, error) {
	if err := p.lost.Get(&p.lostCount); err != nil {
		return 0, fmt.Errorf("bpf: %w", err)
	}
	return p.lostCount, nil
}

// Close detaches and unloads the programs.
func (p *SocketPrograms) Close() error {
	p.Stop()
	var errs []error
	if p.closed != nil {
		errs = append(errs, p.closed.close())
	}
	for _, t := range p.tracepoints {
		errs = append(errs, t.Close())
	}
	if p.iterator != nil {
		errs = append(errs, p.iterator.Close())
	}
	p.collection.Close()
	return errors.Join(errs...)
}

// closedSockets reads the records of closed sockets from the ring buffer.
type closedSockets struct {
	reader *ringbuf.Reader
	handle func(*ClosedSocket)
	done   chan struct{}

	mu      sync.Mutex
	flushed sync.Cond // flushes increased, or ended is true
	flushes int       // completed flushes of the ring buffer
	ended   bool
	err     error
}

func newClosedSockets(reader *ringbuf.Reader, handle func(*ClosedSocket)) *closedSockets {
	c := &closedSockets{reader: reader, handle: handle, done: make(chan struct{})}
	c.flushed.L = &c.mu
	go c.run()
	return c
}

func (c *closedSockets) run() {
	defer close(c.done)
	var record ringbuf.Record
	for {
		err := c.reader.ReadInto(&record)
		if err == nil && len(record.RawSample) != int(unsafe.Sizeof(ClosedSocket{})) {
			err = fmt.Errorf("record of %d bytes", len(record.RawSample))
		}
		switch {
		case err == nil:
			c.handle((*ClosedSocket)(unsafe.Pointer(&record.RawSample[0])))
			continue
		case errors.Is(err, ringbuf.ErrFlushed):
			c.mu.Lock()
			c.flushes++
		default:
			c.mu.Lock()
			c.ended = true
			if !errors.Is(err, os.ErrClosed) {
				c.err = fmt.Errorf("bpf: read closed sockets: %w", err)
			}
		}
		ended := c.ended
		c.flushed.Broadcast()
		c.mu.Unlock()
		if ended {
			return
		}
	}
}

func (c *closedSockets) flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	want := c.flushes + 1
	if !c.ended {
		if err := c.reader.Flush(); err != nil {
			return fmt.Errorf("bpf: read closed sockets: %w", err)
		}
	}
	for c.flushes < want && !c.ended {
		c.flushed.Wait()
	}
	return c.err
}

func (c *closedSockets) close() error {
	err := c.reader.Close()
	<-c.done
	return err
}
