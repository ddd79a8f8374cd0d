package platform

import (
	"context"
	"errors"
	"time"

	"github.com/seed57308aee/process_exporter/procfs"
)

// A Source reads processes. It is not safe for concurrent use, except ExitsReady.
//
// A local user can make reads of the files of a process block without limit. No method
// waits for such a read longer than about 50 ms: it skips the process until the read
// returns, and counts it in [Snapshot.Unresponsive].
type Source interface {
	// Walk finds all live processes, and reads the wanted fields of known processes. It
	// omits processes that exit during the walk, without an error. When ctx ends, Walk
	// returns the Samples that it has and sets Incomplete. An error means that no process
	// could be listed.
	Walk(ctx context.Context, snap *Snapshot) error

	// Complete reads the fields in Want that the last Walk did not read, because the
	// caller has set Want since. It stops reading when ctx ends. It removes the fields
	// that are not in Want, so that both kinds of Source return the same fields.
	Complete(ctx context.Context, snap *Snapshot)

	// Identify reads the requested fields of a process that the last Walk found. A field
	// that it may not read stays empty. The error matches [ErrGone] if the process has
	// exited, and [ErrUnresponsive] if a read blocks.
	Identify(ctx context.Context, s *Sample, want IdentityFields) (Identity, error)

	// Fingerprints computes the current [Identity.Fingerprint] of the processes with these
	// indexes of snap.Samples. The caller sets fingerprints[i] to the last known value of
	// the process with indexes[i]. Fingerprints replaces it, by 0 if the process has exited or
	// is unresponsive. It does not allocate memory per process. It stops when ctx ends, and
	// after 20 ms of CPU time, but not before it has read one process. It returns the number
	// of processes that it has read, which are the first ones of indexes.
	Fingerprints(ctx context.Context, snap *Snapshot, indexes []int, want IdentityFields, fingerprints []uint64) (read int)

	// ExitIdentity returns the requested fields of the identity that a process of
	// [Snapshot.Exits] had when it exited. Exe and Ancestors stay empty.
	ExitIdentity(e *Exit, want IdentityFields) Identity

	// Kind returns the kind that the last walk used, SourceBPF or SourceProcfs. If it is
	// SourceProcfs although [Options.Kind] allows BPF, reason says why. A BPF Source
	// falls back to /proc for a whole walk only if its programs fail in this walk.
	Kind() (kind SourceKind, reason error)

	// ExitsReady returns a channel that receives when so many processes have exited
	// since the last Walk that the next one should come soon, before exit events are
	// lost. It is nil if the Source does not report exits. Any goroutine may call it.
	ExitsReady() <-chan struct{}

	// Close releases the resources of the Source.
	Close() error
}

// A SourceKind is what a Source reads.
type SourceKind string

// The kinds of Sources. SourceBPF and SourceProcfs return the same fields, but only
// SourceBPF reports exits, FieldRunWait, FieldBlockWait and FieldSwitchesOfAllThreads.
// docs/performance.md compares their cost.
const (
	SourceAuto   SourceKind = "auto"   // SourceBPF if possible, else SourceProcfs
	SourceBPF    SourceKind = "bpf"    // BPF programs, and /proc for data that these cannot read
	SourceProcfs SourceKind = "procfs" // /proc
)

// ErrUnresponsive matches the error of reading a process whose /proc files block.
var ErrUnresponsive = errors.New("process is unresponsive: a read of its files blocks")

// ErrGone matches the error of reading a process that has exited.
var ErrGone = procfs.ErrGone

// Options selects the Source and its limits.
type Options struct {
	Root string // mount point of the process file system; "" is /proc

	Kind SourceKind // "" is SourceProcfs

	// SmapsBudget is the CPU time that one walk may spend on reading FieldSmaps again;
	// 0 is no limit. When it is used up, the other processes keep their last values and are
	// read in later walks. The first read of a process is not limited.
	SmapsBudget time.Duration

	// SmapsMaxRSS is the resident memory in bytes above which FieldSmaps is not read; 0
	// is no limit. The kernel locks the memory of the process during the read, for
	// about 15 ms per GiB.
	SmapsMaxRSS uint64

	// Sandboxed is whether the caller enters the sandbox after Open. If it does, the Source
	// does not call open_by_handle_at(2), which the sandbox refuses.
	Sandboxed bool
}

// Open returns the Source of this operating system. On systems without one the error
// matches [errors.ErrUnsupported].
func Open(o Options) (Source, error) { return newSource(o) }
