package grouping

import (
	"context"
	"sort"

	"github.com/seed57308aee/process_exporter/platform"
)

// The kernel does not report that a process rewrites its command line. Without BPF it
// does not report a move to another cgroup either. So each update reads the identity
// fingerprint of some processes again: of each process that has run since its last
// revalidation, and of each idle process at every 64th update. The source limits the CPU
// time of these reads; the next update continues where it stopped.
const idleRevalidationPeriod = 64 // updates

// revalidation is the state of the revalidation of identities, and its buffers.
type revalidation struct {
	lastPID      int // last process that was revalidated
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
	if len(v.indexes) == 0 {
		return
	}
	for j, i := range v.indexes {
		v.fingerprints[j] = t.records[i].fingerprint
	}
	read := t.src.Fingerprints(ctx, &t.snap, v.indexes, t.identityFields, v.fingerprints)
	for j, i := range v.indexes[:read] {
		r := &t.records[i]
		v.lastPID = r.id.PID
		if v.fingerprints[j] == 0 { // gone or unresponsive
			continue
		}
		r.revalidationDue = false
		if v.fingerprints[j] != r.fingerprint {
			r.identity = identityDue
		}
	}
}

// selectRevalidations sets the indexes of the processes to revalidate in this update,
// beginning after the one that was revalidated last.
func (t *Tracker) selectRevalidations() {
	v := &t.revalidation
	v.updates++
	n := len(t.records)
	first := sort.Search(n, func(i int) bool { return t.records[i].id.PID > v.lastPID })
	v.indexes = v.indexes[:0]
	for step := range n {
		i := first + step
		if i >= n {
			i -= n
		}
		r, s := &t.records[i], &t.snap.Samples[i]
		if t.mayNeedRevalidation(r, s) {
			v.indexes = append(v.indexes, i)
		}
	}
	if cap(v.fingerprints) < len(v.indexes) {
		v.fingerprints = make([]uint64, 2*len(v.indexes))
	}
	v.fingerprints = v.fingerprints[:len(v.indexes)]
}

// mayNeedRevalidation reports whether the identity of a process may have changed
// unnoticed: it has run, and its match depends on text that it can rewrite, or it was not
// revalidated for idleRevalidationPeriod updates.
func (t *Tracker) mayNeedRevalidation(r *record, s *platform.Sample) bool {
	ran := r.mutable != 0 && !s.Idle && s.Have&platform.FieldStat != 0
	if ran || (r.id.PID+t.revalidation.updates)%idleRevalidationPeriod == 0 {
		r.revalidationDue = true
	}
	return r.revalidationDue && r.fingerprint != 0 && r.identity == identityCurrent && !r.kernelThread && s.State != 'Z' &&
		!t.isRechecked(r, s) && !t.recheckExpired(r, s)
}
