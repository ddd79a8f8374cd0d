package sockets

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/procfs"
)

// defaultBudget is the CPU time that a Read may spend on file descriptors if
// [Options.Budget] is 0.
const defaultBudget = 20 * time.Millisecond

// tableShare is how many times more CPU time than on file descriptors a Read may spend on
// socket tables.
const tableShare = 5

// A procfsReader reads open sockets from /proc. The socket tables of each network namespace
// have the state of every socket, for about 1.1 µs per socket. The links in /proc/PID/fd
// say which process has a socket open, for about 3.5 µs per link. So the Reader stores the
// owner of each socket. It reads links again only of processes whose descriptors may have
// changed, or to find the owner of a new socket.
//
// NETLINK_SOCK_DIAG costs 0.75 µs per socket and 0.9 µs with byte counters. But it needs
// setns(2) for each network namespace, which the sandbox forbids, and it has no owners
// either. Its byte counters end with the socket: sums without short connections would be
// too small. So a procfsReader has no [Traffic].
//
// It does not find the sockets of a network namespace without processes.
type procfsReader struct {
	mount    *procfs.Mount
	reader   *procfs.Reader // for files that never block
	bpfError error          // why BPF is not in use although it was allowed

	reads      uint32 // number of Reads, including this one
	listed     []procfs.Entry
	processes  []*procfsProcess // ascending by PID
	spareList  []*procfsProcess // memory for the next processes
	namespaces []*namespace
	nextTable  int // index in namespaces at which the next Read begins
	table      tableReader

	sockets       map[uint64]*listedSocket // by inode
	spareSockets  []*listedSocket
	unowned       int    // sockets without an owner
	newestUnowned uint32 // the latest Read that found or left one of these
	lostOwner     bool   // a scan has found that the owner of a socket has closed it
	lostRound     uint64 // starts with 1, and increases with each search for new owners of these

	scans        descriptorScans
	tableBudget  budget
	listeners    []ownedListener
	allListeners []Listener
	incomplete   bool
}

// A budget limits the CPU time of repeated work. Work that exceeds it reduces the budget of the
// following Reads.
type budget struct{ limit, left time.Duration }

func (b *budget) refill()                 { b.left = min(b.left+b.limit, b.limit) }
func (b *budget) spend(cpu time.Duration) { b.left -= cpu }
func (b *budget) exhausted() bool         { return b.left <= 0 }

// A procfsProcess is a process of the last Read.
type procfsProcess struct {
	pid   int
	inode uint64 // of /proc/PID
	gone  bool

	start    uint64 // clock ticks after boot
	hasStart bool

	namespace *namespace // nil if unknown

	fds     []procfs.SocketFD // descriptors of sockets, ascending
	next    uint32            // descriptor at which an unfinished scan continues, 0 if there is none
	began   uint32            // Read in which the unfinished scan began
	scanned uint32            // Read in which the last complete scan began, 0 if there was none

	nextVerified uint32 // descriptor at which the phase checked continues

	count   uint64 // number of descriptors before the last scan, without sockets that have closed since
	changed bool   // the last scan failed, or the process has become readable: it must be scanned
	denied  bool   // the kernel denies access to the descriptors
	thread  int    // live thread, if the main thread has exited, else 0

	owned int // sockets that the process owns
	open  OpenSockets
}

// newProcfsReader returns a Reader of the process file system at o.Root.
func newProcfsReader(o Options) (*procfsReader, error) {
	if o.Root == "" {
		o.Root = "/proc"
	}
	if o.Budget == 0 {
		o.Budget = defaultBudget
	}
	mount, err := procfs.Open(o.Root)
	if err != nil {
		return nil, err
	}
	r := &procfsReader{
		mount:       mount,
		reader:      procfs.NewReader(mount),
		sockets:     make(map[uint64]*listedSocket),
		tableBudget: budget{limit: tableShare * o.Budget},
		lostRound:   1,
	}
	r.scans.setBudget(o.Budget)
	r.scans.ticker = time.NewTicker(time.Hour)
	r.scans.ticker.Stop()
	r.table.init(r)
	return r, nil
}

// Kind implements Reader.
func (r *procfsReader) Kind() (platform.SourceKind, error) { return platform.SourceProcfs, r.bpfError }

// Close implements Reader.
func (r *procfsReader) Close() error {
	r.scans.close()
	return r.mount.Close()
}

// Read implements Reader.
func (r *procfsReader) Read(ctx context.Context, report *Report) error {
	runtime.LockOSThread() // host.ThreadCPUTime
	defer runtime.UnlockOSThread()
	var err error
	if r.listed, err = r.reader.AppendProcesses(r.listed[:0]); err != nil {
		return fmt.Errorf("sockets: cannot list processes: %w", err)
	}
	if len(r.listed) == 0 {
		return errors.New("sockets: the process file system contains no process")
	}
	r.reads++
	r.incomplete = false
	r.updateProcesses()
	r.updateNamespaces()
	r.readTables(ctx)
	r.removeClosed()
	r.findOwners(ctx)
	r.fill(ctx, report)
	return nil
}

// updateProcesses makes r.processes those of r.listed.
func (r *procfsReader) updateProcesses() {
	old, list := r.processes, r.spareList[:0]
	for _, entry := range r.listed {
		for len(old) > 0 && old[0].pid < entry.PID {
			old[0].gone, old = true, old[1:]
		}
		if len(old) > 0 && old[0].pid == entry.PID {
			p := old[0]
			old = old[1:]
			if p.inode == entry.Inode {
				list = append(list, p)
				continue
			}
			p.gone = true
		}
		list = append(list, &procfsProcess{pid: entry.PID, inode: entry.Inode})
	}
	for _, p := range old {
		p.gone = true
	}
	clear(r.processes)
	r.processes, r.spareList = list, r.processes
}
