package grouping

import (
	"context"
	"sort"

	"github.com/seed57308aee/process_exporter/platform"
)

// The kernel does not tell who rewrites his command line, nor, without programs
// inside it, who is moved to another control group. So the words of some
// processes are looked at again at every update: of those that have run since
// the last look in turn, and of each other one at every 64th update.
const (
	visitsAtLeast = 16
	visitsShare   = 64 // one in so many processes, beyond those
	quietTurns    = 64
)

// visits is the state of the visiting, and its scratch.
type visits struct {
	last int // PID of the last process that was looked at
	turn int
	at   []int
	sums []uint64
}

// visible are the words that may change while a process stays what it is.
const visible = platform.IdentityArgs | platform.IdentityUser | platform.IdentityCgroups | platform.IdentityExe

// visit looks at the words of some processes, and puts those in doubt of which
// they have changed.
func (t *Tracker) visit(ctx context.Context) {
	v := &t.visits
	if t.needs&visible == 0 {
		return
	}
	v.turn++
	n := len(t.records)
	quota := visitsAtLeast + n/visitsShare
	first := sort.Search(n, func(i int) bool { return t.records[i].id.PID > v.last })
	v.at = v.at[:0]
	for step := 0; step < n && len(v.at) < quota; step++ {
		i := (first + step) % n
		r := &t.records[i]
		v.last = r.id.PID
		if r.sum == 0 || r.doubt || r.kernel || t.closed(r, &t.snap.Samples[i]) || t.snap.Samples[i].State == 'Z' {
			continue
		}
		if r.stale || (r.id.PID+v.turn)%quietTurns == 0 {
			v.at = append(v.at, i)
		}
	}
	if cap(v.sums) < len(v.at) {
		v.sums = make([]uint64, 2*quota)
	}
	v.sums = v.sums[:len(v.at)]
	for j, i := range v.at {
		v.sums[j] = t.records[i].sum
	}
	t.src.Fingerprints(ctx, &t.snap, v.at, t.needs, v.sums)
	for j, i := range v.at {
		r := &t.records[i]
		if v.sums[j] == 0 { // it is gone, or does not answer
			continue
		}
		r.stale = false
		r.doubt = v.sums[j] != r.sum
	}
}
