package procfs

import (
	"bytes"
	"encoding/binary"
	"net/netip"
)

// An InetSocket is one line of /proc/PID/net/tcp, tcp6, udp or udp6.
type InetSocket struct {
	Local, Remote netip.AddrPort
	State         uint8  // as in include/net/tcp_states.h: 1 is ESTABLISHED, 10 is LISTEN
	Inode         uint64 // 0 for a socket that belongs to no process, such as in TIME_WAIT

	SendQueue    uint32 // bytes
	ReceiveQueue uint32 // bytes; for a TCP socket in LISTEN, connections that wait for accept(2)
}

// AppendInetSockets appends the sockets of a tcp, tcp6, udp or udp6 file to dst.
// It omits sockets without an inode, such as those in TIME_WAIT, which belong to
// no process. On error it returns dst unchanged.
func AppendInetSockets(dst []InetSocket, text []byte) ([]InetSocket, error) {
	got := dst
	_, text, _ = nextLine(text) // the header
	for len(text) > 0 {
		line, rest, complete := nextLine(text)
		text = rest
		if !complete {
			return dst, newParseError("net", "inode", line)
		}
		var s InetSocket
		if err := ParseInetSocket(line, &s); err != nil {
			return dst, err
		}
		if s.Inode != 0 {
			got = append(got, s)
		}
	}
	return got, nil
}

// ParseInetSocket fills dst from one line of a tcp, tcp6, udp or udp6 file, without its
// newline. It ignores what follows the inode.
func ParseInetSocket(line []byte, dst *InetSocket) error {
	var s InetSocket
	if !s.parse(line) {
		return newParseError("net", "inode", line)
	}
	*dst = s
	return nil
}

// parse parses a line: number, local address, remote address, state, queues, timers,
// retransmits, uid, timeout, inode.
func (s *InetSocket) parse(line []byte) bool {
	_, line = nextField(line)
	local, line := nextField(line)
	remote, line := nextField(line)
	state, line := nextField(line)
	queues, line := nextField(line)
	for range 4 {
		_, line = nextField(line)
	}
	inode, _ := nextField(line)
	var n uint64
	if !setAddrPort(&s.Local, local) || !setAddrPort(&s.Remote, remote) || !setHex(&n, state) || n > 0xff {
		return false
	}
	s.State = uint8(n)
	return s.setQueues(queues) && setUint(&s.Inode, inode)
}

// setQueues parses the lengths of the send queue and the receive queue, such as
// 00000000:0000001C.
func (s *InetSocket) setQueues(text []byte) bool {
	const digits = 8
	var send, receive uint64
	if len(text) != 2*digits+1 || text[digits] != ':' || !setHex(&send, text[:digits]) || !setHex(&receive, text[digits+1:]) {
		return false
	}
	s.SendQueue, s.ReceiveQueue = uint32(send), uint32(receive)
	return true
}

// setAddrPort parses an address such as 0100007F:0016. The kernel prints each
// 32-bit word of an address in host byte order, and the port as a number.
func setAddrPort(to *netip.AddrPort, text []byte) bool {
	words, digits, found := bytes.Cut(text, []byte(":"))
	var port uint64
	if !found || len(digits) != 4 || !setHex(&port, digits) {
		return false
	}
	var addr [16]byte
	n := 0
	for ; len(words) >= 8 && n < len(addr); n += 4 {
		var word uint64
		if !setHex(&word, words[:8]) {
			return false
		}
		binary.NativeEndian.PutUint32(addr[n:], uint32(word))
		words = words[8:]
	}
	switch {
	case len(words) == 0 && n == 4:
		*to = netip.AddrPortFrom(netip.AddrFrom4([4]byte(addr[:4])), uint16(port))
	case len(words) == 0 && n == 16:
		*to = netip.AddrPortFrom(netip.AddrFrom16(addr), uint16(port))
	default:
		return false
	}
	return true
}

// A UnixSocket is one line of /proc/PID/net/unix.
type UnixSocket struct {
	Type  int // as in socket(2): 1 stream, 2 datagram, 5 sequenced packets
	Inode uint64
	Path  string // begins with "@" for an abstract socket; "" for an unnamed socket
}

// AppendUnixSockets appends the sockets of a unix file to dst. The path is the
// rest of its line. Because a path may contain newlines, lines that do not have the
// format of a socket are skipped.
func AppendUnixSockets(dst []UnixSocket, text []byte) []UnixSocket {
	_, text, _ = nextLine(text) // the header
	for len(text) > 0 {
		line, rest, complete := nextLine(text)
		text = rest
		var s UnixSocket
		if complete && s.parse(line) {
			dst = append(dst, s)
		}
	}
	return dst
}

// parse parses a line.
func (s *UnixSocket) parse(line []byte) bool {
	path, ok := s.parseUntilPath(line)
	s.Path = string(path)
	return ok
}

// ParseUnixInode returns the inode of the socket in one line of a unix file, without its
// newline. ok is false if the line is not a socket: see [AppendUnixSockets].
func ParseUnixInode(line []byte) (inode uint64, ok bool) {
	var s UnixSocket
	_, ok = s.parseUntilPath(line)
	return s.Inode, ok
}

// parseUntilPath parses a line: kernel address, references, protocol, flags, type, state,
// inode, path. It returns the path.
func (s *UnixSocket) parseUntilPath(line []byte) (path []byte, ok bool) {
	address, line := nextField(line)
	if len(address) == 0 || address[len(address)-1] != ':' {
		return nil, false
	}
	for range 3 {
		_, line = nextField(line)
	}
	kind, line := nextField(line)
	_, line = nextField(line)
	inode, line := nextField(line)
	var n uint64
	if !setHex(&n, kind) || n > 0xffff || !setUint(&s.Inode, inode) {
		return nil, false
	}
	s.Type = int(n)
	if len(line) > 0 { // skip one space; the path may begin with another
		path = line[1:]
	}
	return path, true
}

// ParseSocketLink returns the inode of a socket from the target of a link in /proc/PID/fd,
// such as socket:[1234]. ok is false if the descriptor is not a socket.
func ParseSocketLink(target []byte) (inode uint64, ok bool) {
	digits, found := bytes.CutPrefix(target, []byte("socket:["))
	if !found || len(digits) == 0 || digits[len(digits)-1] != ']' {
		return 0, false
	}
	return parseUint(digits[:len(digits)-1])
}
