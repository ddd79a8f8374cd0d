package process

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/seed57308aee/process_exporter/procfs"
)

// ConnectionKind is a set of socket kinds.
type ConnectionKind uint8

// The socket kinds and their unions.
const (
	ConnectionTCP4 ConnectionKind = 1 << iota
	ConnectionTCP6
	ConnectionUDP4
	ConnectionUDP6
	ConnectionUnix

	ConnectionTCP   = ConnectionTCP4 | ConnectionTCP6
	ConnectionUDP   = ConnectionUDP4 | ConnectionUDP6
	ConnectionInet4 = ConnectionTCP4 | ConnectionUDP4
	ConnectionInet6 = ConnectionTCP6 | ConnectionUDP6
	ConnectionInet  = ConnectionInet4 | ConnectionInet6
	ConnectionAll   = ConnectionInet | ConnectionUnix
)

// connectionKindName is a kind and its psutil name.
type connectionKindName struct {
	kind ConnectionKind
	name string
}

// connectionKindNames lists the named kinds.
var connectionKindNames = [...]connectionKindName{
	{ConnectionAll, "all"},
	{ConnectionInet, "inet"},
	{ConnectionInet4, "inet4"},
	{ConnectionInet6, "inet6"},
	{ConnectionTCP, "tcp"},
	{ConnectionTCP4, "tcp4"},
	{ConnectionTCP6, "tcp6"},
	{ConnectionUDP, "udp"},
	{ConnectionUDP4, "udp4"},
	{ConnectionUDP6, "udp6"},
	{ConnectionUnix, "unix"},
}

// ParseConnectionKind returns the kind with this psutil name, such as "inet4".
func ParseConnectionKind(name string) (ConnectionKind, error) {
	for _, k := range connectionKindNames {
		if k.name == name {
			return k.kind, nil
		}
	}
	const want = "all, inet, inet4, inet6, tcp, tcp4, tcp6, udp, udp4, udp6 or unix"
	return 0, fmt.Errorf("process: connection kind %q: %w: want %s", name, ErrInvalid, want)
}

// String returns the psutil name of the kind: it is the inverse of
// [ParseConnectionKind]. A set without a name has a number, such as
// "ConnectionKind(0x11)".
func (k ConnectionKind) String() string {
	for _, known := range connectionKindNames {
		if known.kind == k {
			return known.name
		}
	}
	return fmt.Sprintf("ConnectionKind(%#x)", uint8(k))
}

// A ConnStatus is the state of a TCP connection: a TCP_* constant of the kernel.
type ConnStatus uint8

// The states of a TCP connection. Other sockets have ConnNone.
const (
	ConnNone ConnStatus = iota
	ConnEstablished
	ConnSynSent
	ConnSynRecv
	ConnFinWait1
	ConnFinWait2
	ConnTimeWait
	ConnClose
	ConnCloseWait
	ConnLastAck
	ConnListen
	ConnClosing
)

// String returns the psutil name of the state, or "NONE" for an unknown one.
func (s ConnStatus) String() string {
	names := [...]string{"NONE", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT",
		"CLOSE", "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING"}
	if int(s) >= len(names) {
		return names[0]
	}
	return names[s]
}

// The socket types of socket(2).
const (
	SocketStream    = 1
	SocketDatagram  = 2
	SocketSeqPacket = 5
)

// A Connection is an open socket of a process. An IPv6 socket that serves IPv4 too
// has the kind [ConnectionTCP6] or [ConnectionUDP6]. Its addresses of IPv4 are
// IPv4-mapped: see [netip.Addr.Unmap].
type Connection struct {
	FD   int
	Kind ConnectionKind // a single kind
	Type int            // such as SocketStream

	// Local and Remote are the addresses of an IPv4 or IPv6 socket. They are
	// invalid if the socket has none.
	Local, Remote netip.AddrPort
	// Path is the address of a UNIX socket: "@" first if it is abstract, "" if it
	// is unnamed.
	Path string
	// Status is ConnNone for UDP and UNIX sockets. A bound UDP port is never
	// ConnListen.
	Status ConnStatus
}

// A socketFile is a file below /proc/PID that lists sockets.
type socketFile struct {
	kind       ConnectionKind
	file       string
	socketType int // 0 if the file has the type of each socket
}

// socketFiles lists the files with sockets, in the order of the results.
var socketFiles = [...]socketFile{
	{ConnectionTCP4, "net/tcp", SocketStream},
	{ConnectionTCP6, "net/tcp6", SocketStream},
	{ConnectionUDP4, "net/udp", SocketDatagram},
	{ConnectionUDP6, "net/udp6", SocketDatagram},
	{ConnectionUnix, "net/unix", 0},
}

// Connections returns the open sockets of these kinds, ascending by descriptor, in
// the network namespace of the process. It reads /proc/PID/fd and /proc/PID/net,
// which requires the same user, or CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH. It omits
// TCP sockets that neither listen nor were ever connected, and sockets of other
// families. No kinds, or an unknown one, is an error that matches [ErrInvalid]. The
// psutil counterpart is net_connections.
//
// A file such as net/tcp lists all sockets of the network namespace. Each call reads
// it again: calls for several processes of a namespace do not share the read.
//
// System calls: 5, 1 per descriptor, and 4 per kind if there is a socket.
func (p *Process) Connections(kinds ConnectionKind) ([]Connection, error) {
	const op = "connections"
	if kinds == 0 || kinds&^ConnectionAll != 0 {
		return nil, p.invalid(op, "connection kinds %#x are not a union of the constants", uint8(kinds))
	}
	if p.ctx != nil {
		return within(p, op, func(p *Process) ([]Connection, error) { return p.Connections(kinds) })
	}
	fds, err := p.sockets(op)
	if err != nil || len(fds) == 0 {
		return nil, err
	}
	var found []Connection
	for _, from := range socketFiles {
		if kinds&from.kind == 0 {
			continue
		}
		if found, err = p.appendConnections(found, op, from, fds); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(found, func(a, b Connection) int { return cmp.Compare(a.FD, b.FD) })
	return found, nil
}

// sockets returns the descriptors of all open sockets by inode.
func (p *Process) sockets(op string) (map[uint64][]int, error) {
	fds := make(map[uint64][]int)
	err := p.eachFD(op, func(h handle, buf []byte, fd int) error {
		text, err := h.link(buf, fmt.Sprintf("fd/%d", fd))
		if err != nil {
			return err
		}
		if inode, ok := procfs.ParseSocketLink(text); ok {
			fds[inode] = append(fds[inode], fd)
		}
		return nil
	})
	return fds, err
}

// appendConnections appends the sockets of one file whose inode is in fds.
func (p *Process) appendConnections(dst []Connection, op string, from socketFile, fds map[uint64][]int) ([]Connection, error) {
	text, err := p.readAll(op, from.file)
	if errors.Is(err, ErrUnsupported) { // such as a kernel without IPv6
		return dst, nil
	}
	if err != nil {
		return nil, err
	}
	defer p.putBuffer(text)
	if from.kind == ConnectionUnix {
		for _, s := range procfs.AppendUnixSockets(nil, *text) {
			for _, fd := range fds[s.Inode] {
				dst = append(dst, Connection{FD: fd, Kind: from.kind, Type: s.Type, Path: s.Path})
			}
		}
		return dst, nil
	}
	sockets, err := procfs.AppendInetSockets(nil, *text)
	if err != nil {
		return nil, p.wrap(op, err)
	}
	for _, s := range sockets {
		for _, fd := range fds[s.Inode] {
			dst = append(dst, Connection{
				FD: fd, Kind: from.kind, Type: from.socketType, Local: validAddr(s.Local), Remote: validAddr(s.Remote),
				Status: tcpStatus(from.kind, s.State),
			})
		}
	}
	return dst, nil
}

// validAddr returns the address, or the zero value if the port is 0, which means
// that the socket has no address.
func validAddr(a netip.AddrPort) netip.AddrPort {
	if a.Port() == 0 {
		return netip.AddrPort{}
	}
	return a
}

// tcpStatus returns the state of a TCP socket, and ConnNone for other sockets, whose
// state numbers have no meaning.
func tcpStatus(kind ConnectionKind, state uint8) ConnStatus {
	if kind&ConnectionTCP == 0 || ConnStatus(state) > ConnClosing {
		return ConnNone
	}
	return ConnStatus(state)
}
