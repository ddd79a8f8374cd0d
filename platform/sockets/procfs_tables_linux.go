package sockets

import (
	"context"
	"errors"
	"os"
	"slices"
	"syscall"

	"github.com/seed57308aee/process_exporter/platform/internal/host"
	"github.com/seed57308aee/process_exporter/procfs"
)

// maxSockets is the maximum number of sockets that a procfsReader stores. They take about
// 100 bytes each.
const maxSockets = 1 << 18

// namespaceInterval is the number of Reads after which the network namespace of a process
// is determined again: setns(2) and unshare(2) change it.
const namespaceInterval = 64

// A namespace is a network namespace.
type namespace struct {
	inode   uint64         // of net/tcp of its processes
	process *procfsProcess // a process in it
	seen    uint32         // Read that last found a process in it
	read    uint32         // Read that last read its tables
}

// A listedSocket is one line of a socket table.
type listedSocket struct {
	inode     uint64
	namespace *namespace
	owner     *procfsProcess // nil if unknown
	seen      uint32         // Read that last found it in its table
	since     uint32         // Read that found it, or that found that its owner has closed it
	scan      uint64         // number of the last scan that found a descriptor of it
	lostRound uint64         // procfsReader.lostRound when a scan found that its owner has closed it

	kind         socketKind
	state        State // of a TCP or UDP socket
	port         uint16
	sendQueue    uint32
	receiveQueue uint32
}

// A socketKind is the table in which a socket is listed.
type socketKind uint8

const (
	kindTCP socketKind = iota
	kindUDP
	kindUnix
)

// updateNamespaces finds the network namespace of each process, and removes namespaces
// without a process.
func (r *procfsReader) updateNamespaces() {
	for _, p := range r.processes {
		if p.namespace == nil || (r.reads+uint32(p.pid))%namespaceInterval == 0 {
			p.namespace = r.namespaceOf(p)
		}
		if ns := p.namespace; ns != nil && ns.seen != r.reads {
			ns.seen, ns.process = r.reads, p
		}
	}
	r.namespaces = slices.DeleteFunc(r.namespaces, func(ns *namespace) bool { return ns.seen != r.reads })
}

// namespaceOf returns the network namespace of a process, or nil. A zombie has none.
func (r *procfsReader) namespaceOf(p *procfsProcess) *namespace {
	inode, err := r.reader.Inode(p.pid, "net/tcp")
	if err != nil {
		return nil
	}
	for _, ns := range r.namespaces {
		if ns.inode == inode {
			return ns
		}
	}
	ns := &namespace{inode: inode}
	r.namespaces = append(r.namespaces, ns)
	return ns
}

// readTables reads the tables of as many namespaces as the budget allows. The next Read
// begins with the first that was not read.
func (r *procfsReader) readTables(ctx context.Context) {
	r.tableBudget.refill()
	n := len(r.namespaces)
	for i := range n {
		at := (r.nextTable + i) % n
		if ctx.Err() != nil || r.tableBudget.exhausted() {
			r.nextTable, r.incomplete = at, true
			return
		}
		start := host.ThreadCPUTime()
		if r.table.read(ctx, r.namespaces[at]) != nil {
			r.incomplete = true
		}
		r.tableBudget.spend(host.ThreadCPUTime() - start)
	}
	r.nextTable = 0
}

// A tableReader reads the socket tables of one namespace.
type tableReader struct {
	r         *procfsReader
	ctx       context.Context //nolint:containedctx // of the call of read
	namespace *namespace
	lines     int // of this file, so far
	row       procfs.InetSocket
	sockstat  procfs.Sockstat
	err       error

	tcp, udp, unix func(line []byte) bool // each returns false at an error
}

func (t *tableReader) init(r *procfsReader) {
	t.r = r
	t.tcp = func(line []byte) bool { return t.addInet(kindTCP, line) }
	t.udp = func(line []byte) bool { return t.addInet(kindUDP, line) }
	t.unix = t.addUnix
}

// read reads the tables of ns. On error the sockets that it did not find stay.
func (t *tableReader) read(ctx context.Context, ns *namespace) error {
	r := t.r
	t.ctx, t.namespace, t.err = ctx, ns, nil
	for _, p := range r.processes[r.indexOf(ns.process.pid):] {
		if p.namespace != ns {
			continue
		}
		if p.namespace = r.namespaceOf(p); p.namespace != ns {
			continue // exited, or entered another namespace
		}
		err := t.readVia(p.pid)
		if err == nil {
			ns.read = r.reads
			return nil
		}
		if !errors.Is(err, os.ErrNotExist) && !errors.Is(err, procfs.ErrGone) {
			return err
		}
	}
	return procfs.ErrGone
}

// readVia reads the tables in /proc/PID/net. For each TCP table the kernel walks the TCP sockets
// of all namespaces, which takes at least 0.4 ms. So tables without a socket are not read.
func (t *tableReader) readVia(pid int) error {
	inUse := &t.sockstat
	*inUse = procfs.Sockstat{TCP: 1, UDP: 1, TCP6: 1, UDP6: 1} // unknown
	for _, file := range [...]string{"net/sockstat", "net/sockstat6"} {
		if text, err := t.r.reader.Read(pid, file); err == nil {
			_ = procfs.ParseSockstat(text, inUse)
		}
	}
	for _, table := range [...]struct {
		file    string
		sockets uint64
		each    func(line []byte) bool
	}{
		{"net/tcp", inUse.TCP, t.tcp}, {"net/tcp6", inUse.TCP6, t.tcp},
		{"net/udp", inUse.UDP, t.udp}, {"net/udp6", inUse.UDP6, t.udp}, {"net/unix", 1, t.unix},
	} {
		if table.sockets == 0 {
			continue
		}
		t.lines = 0
		err := t.r.reader.EachLine(pid, table.file, table.each)
		if errors.Is(err, syscall.ENOENT) && table.file != "net/tcp" {
			continue // such as a kernel without IPv6
		}
		if err = errors.Join(err, t.err); err != nil {
			return err
		}
	}
	return nil
}

// skip reports whether a line is the header. At every 1,024th line it checks the deadline.
func (t *tableReader) skip() bool {
	if t.lines++; t.lines%1024 == 0 {
		t.err = t.ctx.Err()
	}
	return t.lines == 1
}

func (t *tableReader) addInet(kind socketKind, line []byte) bool {
	if t.skip() {
		return true
	}
	if err := procfs.ParseInetSocket(line, &t.row); err != nil {
		t.err = err
		return false
	}
	if t.row.Inode == 0 || t.row.State >= NumStates {
		return true
	}
	if s := t.socket(t.row.Inode, kind); s != nil {
		s.kind, s.state, s.port = kind, State(t.row.State), t.row.Local.Port()
		s.sendQueue, s.receiveQueue = t.row.SendQueue, t.row.ReceiveQueue
	}
	return t.err == nil
}

func (t *tableReader) addUnix(line []byte) bool {
	if t.skip() {
		return true
	}
	if inode, ok := procfs.ParseUnixInode(line); ok && inode != 0 {
		t.socket(inode, kindUnix)
	}
	return t.err == nil
}

// socket returns the socket with this inode, or nil if there are too many. The path of a
// UNIX socket may contain a line that looks like another socket: it does not replace one.
func (t *tableReader) socket(inode uint64, kind socketKind) *listedSocket {
	r := t.r
	s := r.sockets[inode]
	switch {
	case s == nil && len(r.sockets) >= maxSockets:
		r.incomplete = true
		return nil
	case s == nil:
		s = r.newSocket()
		*s = listedSocket{inode: inode, kind: kind, since: r.reads}
		r.sockets[inode] = s
	case s.kind != kind && kind == kindUnix:
		return nil
	}
	s.namespace, s.seen = t.namespace, r.reads
	return s
}

func (r *procfsReader) newSocket() *listedSocket {
	if n := len(r.spareSockets); n > 0 {
		s := r.spareSockets[n-1]
		r.spareSockets = r.spareSockets[:n-1]
		return s
	}
	return new(listedSocket)
}

// removeClosed removes the sockets that are in no table any more. It counts the sockets
// of each process, and those without an owner.
func (r *procfsReader) removeClosed() {
	for _, p := range r.processes {
		p.owned = 0
	}
	r.unowned, r.newestUnowned = 0, 0
	for inode, s := range r.sockets {
		if s.owner != nil && s.owner.gone {
			s.owner, s.since = nil, r.reads
		}
		ns := s.namespace
		switch {
		case ns.seen != r.reads, ns.read == r.reads && s.seen != r.reads:
			if s.owner != nil { // it has most likely closed one descriptor
				s.owner.count--
			}
			delete(r.sockets, inode)
			r.spareSockets = append(r.spareSockets, s)
		case s.owner != nil:
			s.owner.owned++
		default:
			r.addUnowned(s)
		}
	}
}

func (r *procfsReader) addUnowned(s *listedSocket) {
	r.unowned++
	r.newestUnowned = max(r.newestUnowned, s.since)
}

// indexOf returns the index in r.processes of the first process whose PID is at least pid.
func (r *procfsReader) indexOf(pid int) int {
	at, _ := slices.BinarySearchFunc(r.processes, pid, func(p *procfsProcess, pid int) int { return p.pid - pid })
	return at
}
