//go:build amd64 || arm64

package sockets

import (
	"testing"

	"github.com/seed57308aee/process_exporter/platform/bpf"
)

// scanTable adds the records of one complete scan to a table, and returns the bytes that each
// process has sent since the last scan, and its dropped datagrams.
func scanTable(t *table, records ...bpf.Socket) (sent, drops map[int32]uint64) {
	var a accounts
	a.reset()
	t.beginScan()
	for i := range records {
		t.add(&records[i])
	}
	t.endScan(&a)
	sent, drops = make(map[int32]uint64), make(map[int32]uint64)
	for i := range a.list {
		sent[a.list[i].pid] = a.list[i].traffic.SentBytes
		drops[a.list[i].pid] = a.list[i].traffic.UDPDrops
	}
	return sent, drops
}

func tcpRecord(pid int32, sent uint64) bpf.Socket {
	return bpf.Socket{Id: 1, Inode: 1, Pid: pid, Type: bpf.SocketTCP, Scan: 1, Counters: bpf.SocketCounters{Sent: sent}}
}

// TestOwnerAfterFork checks that a socket keeps its owner while that process has it open, although
// a process with a lower PID has it open too.
func TestOwnerAfterFork(t *testing.T) {
	tab := newTable()
	scanTable(&tab, tcpRecord(20, 1000))
	if sent, _ := scanTable(&tab, tcpRecord(10, 1100), tcpRecord(20, 1100)); sent[20] != 100 || sent[10] != 0 {
		t.Errorf("got bytes sent %v, want 100 of the owner 20", sent)
	}
	if sent, _ := scanTable(&tab, tcpRecord(10, 1150), tcpRecord(30, 1150)); sent[10] != 50 || sent[20]+sent[30] != 0 {
		t.Errorf("got bytes sent %v, want 50 of the lowest PID after the owner has closed it", sent)
	}
}

// TestCounterLowerThanBefore checks that a counter that the kernel changes during a read counts no
// bytes if it is lower than before, and counts them once when it is higher again.
func TestCounterLowerThanBefore(t *testing.T) {
	tab := newTable()
	total := uint64(0)
	for _, n := range []uint64{200, 150, 230} {
		sent, _ := scanTable(&tab, tcpRecord(20, n))
		total += sent[20]
	}
	if total != 30 {
		t.Errorf("got %d bytes sent, want 30", total)
	}
}

// TestDropsBeforeFirstScan checks that the first scan does not count the earlier drops of a UDP
// socket, and that later scans count all drops of a new one.
func TestDropsBeforeFirstScan(t *testing.T) {
	record := func(inode uint64, n uint32) bpf.Socket {
		return bpf.Socket{Inode: inode, Pid: 20, Type: bpf.SocketUDP, Scan: 1, Counters: bpf.SocketCounters{Drops: n}}
	}
	tab := newTable()
	if _, drops := scanTable(&tab, record(1, 5)); drops[20] != 0 {
		t.Errorf("got %d drops in the first scan, want 0", drops[20])
	}
	if _, drops := scanTable(&tab, record(1, 7), record(2, 3)); drops[20] != 5 {
		t.Errorf("got %d drops, want 5", drops[20])
	}
}

// TestOwnerOfClosedSocket checks that the last traffic counts for the process that closes a socket,
// and for the owner if another process has only ended the connection.
func TestOwnerOfClosedSocket(t *testing.T) {
	for _, tt := range []struct {
		flags uint32
		want  int32
	}{{bpf.SocketOwnerClosed, 30}, {0, 20}} {
		r := &bpfReader{table: newTable(), sums: &accounts{}}
		r.sums.reset()
		scanTable(&r.table, tcpRecord(20, 1000))
		r.closed(&bpf.ClosedSocket{Id: 1, Pid: 30, Flags: tt.flags, Counters: bpf.SocketCounters{Sent: 1100}})
		if got := r.sums.of(owner{pid: tt.want}).traffic.SentBytes; got != 100 {
			t.Errorf("flags %d: got %d bytes sent by process %d, want 100", tt.flags, got, tt.want)
		}
	}
}
