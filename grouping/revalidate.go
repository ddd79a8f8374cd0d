package grouping

import (
	"context"
	"sort"

	"github.com/seed57308aee/process_exporter/platform"
)

// The kernel does not report that a process rewrites its command line. Without BPF it
// does not report a move to another cgroup either. So each update reads the identity
// fingerprint of some processes again: of processes that used a CPU since their last
// revalidation, in turn, and of each idle process at every 64th update.
const (
	minRevalidations       = 16
	revalidationShare      = 64 // one in so many processes, in addition to minRevalidations
	idleRevalidationPeriod = 64 // updates
)

// revalidation is the state of the revalidation of identities, and its buffers.
type revalidation struct {
	lastPID      int // last process that was considered
	updates      int
	indexes      []int
	fingerprints []uint64
}

// mutableFields are the parts of an identity that can change without an execve(2)
// or a rename.
const mutableFields = platform.IdentityArgs | platform.IdentityUser | platform.IdentityCgroups | platform.IdentityExe

// revalidate reads the fingerprints of some processes, and marks those to be
// identified again whose fingerprint has changed.
func (t *Tracker) revalidate(ctx context.Context) {
	if t.identityFields&mutableFields == 0 {
		return
	}
	v := &t.revalidation
	t.selectRevalidations()
	for j, i := range v.indexes {
		v.fingerprints[j] = t.records[i].fingerprint
	}
	t.src.Fingerprints(ctx, &t.snap, v.indexes, t.identityFields, v.fingerprints)
	for j, i := range v.indexes {
		r := &t.records[i]
		if v.fingerprints[j] == 0 { // gone or unresponsive
			continue
		}
		r.active = false
		if v.fingerprints[j] != r.fingerprint {
			r.identity = identityMissing
		}
	}
}

// selectRevalidations sets the indexes of the processes to revalidate in this update.
func (t *Tracker) selectRevalidations() {
	v := &t.revalidation
	v.updates++
	n := len(t.records)
	limit := minRevalidations + n/revalidationShare
	first := sort.Search(n, func(i int) bool { return t.records[i].id.PID > v.lastPID })
	v.indexes = v.indexes[:0]
	for step := 0; step < n && len(v.indexes) < limit; step++ {
		i := (first + step) % n
		r, s := &t.records[i], &t.snap.Samples[i]
		v.lastPID = r.id.PID
		if r.fingerprint == 0 || r.identity != identityCurrent || r.kernelThread || s.State == 'Z' || t.recheckExpired(r, s) {
			continue
		}
		if r.active || (r.id.PID+v.updates)%idleRevalidationPeriod == 0 {
			v.indexes = append(v.indexes, i)
		}
	}
	if cap(v.fingerprints) < len(v.indexes) {
		v.fingerprints = make([]uint64, 2*limit)
	}
	v.fingerprints = v.fingerprints[:len(v.indexes)]
}
