package process

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/seed57308aee/process_exporter/procfs"
)

// ConnectionKind is a set of kinds of sockets.
type ConnectionKind uint8

// The kinds of sockets, and their usual sets.
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

// ParseConnectionKind returns the kind that psutil gives this name.
func ParseConnectionKind(name string) (ConnectionKind, error) {
	switch name {
	case "all":
		return ConnectionAll, nil
	case "inet":
		return ConnectionInet, nil
	case "inet4":
		return ConnectionInet4, nil
	case "inet6":
		return ConnectionInet6, nil
	case "tcp":
		return ConnectionTCP, nil
	case "tcp4":
		return ConnectionTCP4, nil
	case "tcp6":
		return ConnectionTCP6, nil
	case "udp":
		return ConnectionUDP, nil
	case "udp4":
		return ConnectionUDP4, nil
	case "udp6":
		return ConnectionUDP6, nil
	case "unix":
		return ConnectionUnix, nil
	}
	return 0, fmt.Errorf("platform: connection kind %q: %w", name, ErrInvalid)
}

// A ConnStatus is the state of a TCP connection, as the kernel numbers it.
type ConnStatus uint8

// The states of a TCP connection. ConnNone is that of all other sockets.
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

// String returns the word that psutil uses, "NONE" for a state unknown to it.
func (s ConnStatus) String() string {
	names := [...]string{"NONE", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT",
		"CLOSE", "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING"}
	if int(s) >= len(names) {
		return names[0]
	}
	return names[s]
}

// The types of sockets, as socket(2) numbers them on most machines.
const (
	SocketStream    = 1
	SocketDatagram  = 2
	SocketSeqPacket = 5
)

// A Connection is a socket that a process has open.
type Connection struct {
	FD   int
	Kind ConnectionKind // one of them
	Type int            // SocketStream and so on

	// Local and Remote are the addresses of an Internet socket. They are not
	// valid where the socket has none.
	Local, Remote netip.AddrPort
	// Path is the name of a UNIX socket, "@" first for an abstract one, "" for
	// none.
	Path   string
	Status ConnStatus
}

// socketFiles are the files with sockets, in the order of their answers.
var socketFiles = [...]struct {
	kind ConnectionKind
	file string
	typ  int
}{
	{ConnectionTCP4, "net/tcp", SocketStream},
	{ConnectionTCP6, "net/tcp6", SocketStream},
	{ConnectionUDP4, "net/udp", SocketDatagram},
	{ConnectionUDP6, "net/udp6", SocketDatagram},
	{ConnectionUnix, "net/unix", 0},
}

// Connections returns the sockets of these kinds that the process has open, by
// ascending descriptor, in whatever network namespace the process is. A TCP
// socket that neither listens nor ever connected is not among them, nor are
// sockets that the kernel keeps no list of by kind.
func (p *Process) Connections(kinds ConnectionKind) ([]Connection, error) {
	const op = "connections"
	if kinds == 0 || kinds&^ConnectionAll != 0 {
		return nil, p.failure(op, ErrInvalid)
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
		if found, err = p.appendConnections(found, op, from.kind, from.file, from.typ, fds); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(found, func(a, b Connection) int { return cmp.Compare(a.FD, b.FD) })
	return found, nil
}

// sockets returns the descriptors of every socket that the process has open, by
// its inode.
func (p *Process) sockets(op string) (map[uint64][]int, error) {
	fds := make(map[uint64][]int)
	err := p.eachFD(op, func(h handle, buf []byte, fd int) error {
		text, err := h.link(buf, fmt.Sprintf("fd/%d", fd))
		if err != nil {
			return err
		}
		if digits, ok := socketInode(text); ok {
			if inode, err := strconv.ParseUint(digits, 10, 64); err == nil {
				fds[inode] = append(fds[inode], fd)
			}
		}
		return nil
	})
	return fds, err
}

// appendConnections appends those sockets of one file that are open under fds.
func (p *Process) appendConnections(dst []Connection, op string, kind ConnectionKind, file string, typ int, fds map[uint64][]int) ([]Connection, error) {
	text, err := p.wholeText(op, file)
	if errors.Is(err, ErrUnsupported) { // a kernel without IPv6, say
		return dst, nil
	}
	if err != nil {
		return nil, err
	}
	defer p.done(text)
	if kind == ConnectionUnix {
		for _, s := range procfs.AppendUnixSockets(nil, *text) {
			for _, fd := range fds[s.Inode] {
				dst = append(dst, Connection{FD: fd, Kind: kind, Type: s.Type, Path: s.Path})
			}
		}
		return dst, nil
	}
	sockets, err := procfs.AppendInetSockets(nil, *text)
	if err != nil {
		return nil, p.failure(op, err)
	}
	for _, s := range sockets {
		for _, fd := range fds[s.Inode] {
			dst = append(dst, Connection{
				FD: fd, Kind: kind, Type: typ, Local: bound(s.Local), Remote: bound(s.Remote), Status: tcpStatus(kind, s.State),
			})
		}
	}
	return dst, nil
}

// bound returns no address where a socket has none: port 0 says so.
func bound(a netip.AddrPort) netip.AddrPort {
	if a.Port() == 0 {
		return netip.AddrPort{}
	}
	return a
}

// tcpStatus returns the state of a TCP socket. The kernel puts numbers behind
// other sockets too, which mean nothing.
func tcpStatus(kind ConnectionKind, state uint8) ConnStatus {
	if kind&ConnectionTCP == 0 || ConnStatus(state) > ConnClosing {
		return ConnNone
	}
	return ConnStatus(state)
}
