package grouping

import (
	"context"
	"sort"

	"github.com/seed57308aee/process_exporter/platform"
)

// The kernel does not report that a process rewrites its command line. Without BPF, and
// in hierarchies of cgroup v1, it does not report a move to another cgroup either. So each
// update compares the identity fingerprint of some processes with the last one: of each
// process that has run since its last comparison, and of each idle process at every 64th
// update. The source limits the CPU time of these reads; the next update continues where it
// stopped.
const idleFingerprintPeriod = 64 // updates

// fingerprintComparison is the state of compareFingerprints, and its buffers.
type fingerprintComparison struct {
	lastPID      int // last process that was compared
	updates      int
	indexes      []int
	fingerprints []uint64
}

// mutableFields are the fields of an identity that can change without an execve(2)
// or a rename.
const mutableFields = platform.IdentityArgs | platform.IdentityUser | platform.IdentityCgroups | platform.IdentityExe

// compareFingerprints reads the fingerprints of some processes, and marks those to be
// identified again whose fingerprint has changed.
func (t *Tracker) compareFingerprints(ctx context.Context) {
	if t.identityFields&mutableFields == 0 {
		return
	}
	c := &t.comparison
	t.selectForComparison()
	if len(c.indexes) == 0 {
		return
	}
	for j, i := range c.indexes {
		c.fingerprints[j] = t.records[i].fingerprint
	}
	read := t.src.Fingerprints(ctx, &t.snap, c.indexes, t.identityFields, c.fingerprints)
	for j, i := range c.indexes[:read] {
		r := &t.records[i]
		c.lastPID = r.id.PID
		if c.fingerprints[j] == 0 { // gone or unresponsive
			continue
		}
		r.comparisonDue = false
		if c.fingerprints[j] != r.fingerprint {
			r.identity = identityDue
		}
	}
}

// selectForComparison sets the indexes of the processes whose fingerprints this update
// compares, beginning after the last one that was compared.
func (t *Tracker) selectForComparison() {
	c := &t.comparison
	c.updates++
	n := len(t.records)
	first := sort.Search(n, func(i int) bool { return t.records[i].id.PID > c.lastPID })
	c.indexes = c.indexes[:0]
	for step := range n {
		i := first + step
		if i >= n {
			i -= n
		}
		r, s := &t.records[i], &t.snap.Samples[i]
		if t.isComparisonDue(r, s) {
			c.indexes = append(c.indexes, i)
		}
	}
	if cap(c.fingerprints) < len(c.indexes) {
		c.fingerprints = make([]uint64, 2*len(c.indexes))
	}
	c.fingerprints = c.fingerprints[:len(c.indexes)]
}

// isComparisonDue reports whether the identity of a process may have changed
// unnoticed: it has run, and its match depends on text that it can rewrite, or it is
// its turn, once in idleFingerprintPeriod updates.
func (t *Tracker) isComparisonDue(r *processRecord, s *platform.Sample) bool {
	ran := r.mutable != 0 && !s.Idle && s.Have&platform.FieldStat != 0
	if ran || (r.id.PID+t.comparison.updates)%idleFingerprintPeriod == 0 {
		r.comparisonDue = true
	}
	return r.comparisonDue && r.fingerprint != 0 && r.identity == identityCurrent && !r.kernelThread && s.State != 'Z' &&
		!t.isRechecked(r, s) && !t.recheckExpired(r, s)
}
