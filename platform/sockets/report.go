package sockets

import (
	"context"

	"github.com/seed57308aee/process_exporter/platform"
)

// A Reader reads the sockets of all processes. It is not safe for concurrent use.
type Reader interface {
	// Read replaces the contents of r, whose memory it reuses. When ctx ends, it returns
	// what it has and sets Incomplete. An error means that nothing was read: the
	// [Traffic] up to then is part of the next Report.
	Read(ctx context.Context, r *Report) error

	// Kind returns what the last Read used. If it is SourceProcfs although the Options
	// allow BPF, reason says why.
	Kind() (kind platform.SourceKind, reason error)

	// Close releases the resources of the Reader.
	Close() error
}

// A Report holds the open sockets of each process, and what its sockets did since the
// last Report.
type Report struct {
	Processes []Process // with sockets or Traffic, or Unreadable; ascending by PID and Start

	// Unattributed is the Traffic of sockets that no known process had open, such as
	// connections that closed before accept(2), and sockets of the kernel.
	Unattributed Traffic

	Parts       Parts  // what this Reader can read
	LostSockets uint64 // since the start, connections and listening sockets whose counters were lost

	// Incomplete says that a part was not read, because the deadline passed or, with /proc, the
	// budget of the socket tables was used up, a table could not be read, file descriptors or
	// memory were exhausted, or there are too many sockets. The sockets of this part are as in
	// the last Report.
	Incomplete bool
}

// Parts is a set of what a Reader can read.
type Parts uint8

// The Parts of a Report.
const (
	PartOpen    Parts = 1 << iota // Process.Open
	PartTraffic                   // Process.Traffic and Report.Unattributed
)

// A Process holds the sockets of one process.
type Process struct {
	PID   int
	Start uint64 // clock ticks after boot, as in [platform.ID]

	// Unreadable says that the sockets of the process are unknown, because its file
	// descriptors may not be read or were not read yet.
	Unreadable bool

	Traffic Traffic
	Open    OpenSockets
}

// Traffic holds what sockets did since the last Report.
type Traffic struct {
	SentBytes             uint64 // TCP payload sent, without retransmissions
	ReceivedBytes         uint64 // TCP payload received in order
	SentSegments          uint64 // TCP segments sent, with retransmissions, ACK and SYN, without SYN-ACK
	RetransmittedSegments uint64 // TCP segments sent again, including SYN and SYN-ACK

	// OpenedOutgoing and OpenedIncoming count the TCP connections that were established by
	// connect(2) and by a peer.
	OpenedOutgoing, OpenedIncoming uint64

	Failures [NumFailures]uint64 // TCP connections that failed, by Failure

	// ListenDrops counts the connection requests that listening TCP sockets dropped, for example
	// because the accept queue was full. The kernel counts the reasons per network namespace only.
	ListenDrops uint64

	UDPDrops uint64 // datagrams dropped because a receive buffer was full

	// RoundTrips holds the smoothed round-trip times, in microseconds, of the TCP
	// connections that sent data since the last Report. It is valid until the next Read.
	RoundTrips []uint32
}

// A Failure is the reason why a TCP connection failed.
type Failure uint8

// The Failures. The first three are those of connect(2).
const (
	FailureRefused     Failure = iota // ECONNREFUSED
	FailureUnreachable                // EHOSTUNREACH, ENETUNREACH
	FailureTimeout                    // ETIMEDOUT, also of an established connection
	FailureReset                      // ECONNRESET or EPIPE of an established connection
	FailureOther

	NumFailures = iota
)

// failureNames are the names of the Failures.
var failureNames = [NumFailures]string{"refused", "unreachable", "timeout", "reset", "other"}

func (f Failure) String() string { return failureNames[f] }

// OpenSockets holds the sockets that a process has open.
type OpenSockets struct {
	Connections [NumStates]int // TCP sockets by State
	Listeners   []Listener     // ascending by Protocol and Port; valid until the next Read

	UDP                  int // UDP sockets
	UDPReceiveQueueBytes uint64
	UDPSendQueueBytes    uint64

	Unix int // UNIX domain sockets
}

// A Listener is a port on which a process receives connections, or datagrams with a UDP
// socket that is bound and not connected. It is the sum of the sockets of all addresses.
type Listener struct {
	Protocol    Protocol
	Port        uint16
	AcceptQueue uint32 // connections that wait for accept(2)
	Backlog     uint32 // maximum of AcceptQueue, see listen(2); 0 is unknown, as with /proc
}

// A Protocol is a transport protocol.
type Protocol uint8

// The Protocols.
const (
	TCP Protocol = iota
	UDP
)

func (p Protocol) String() string {
	if p == UDP {
		return "udp"
	}
	return "tcp"
}

// A State is a TCP state, with the number that the kernel uses (net/tcp_states.h).
type State uint8

// The States. TIME_WAIT sockets and half-open connections belong to no process.
const (
	StateEstablished State = iota + 1
	StateSynSent
	StateSynRecv
	StateFinWait1
	StateFinWait2
	StateTimeWait
	StateClose
	StateCloseWait
	StateLastAck
	StateListen
	StateClosing

	NumStates = iota + 1
)

// stateNames are the names of the States, as node_exporter spells them.
var stateNames = [NumStates]string{
	"", "established", "syn_sent", "syn_recv", "fin_wait1", "fin_wait2", "time_wait", "close", "close_wait", "last_ack", "listen", "closing",
}

func (s State) String() string { return stateNames[s] }
