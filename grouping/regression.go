package grouping

import "github.com/seed57308aee/process_exporter/platform"

// A regression says which counters of a process, or of its threads, were read
// lower than before, a bit for each kind in the order of [Regressions]. Waiting
// times have none: what a main thread has waited goes with it when another thread
// takes its place.
type regression uint8

const (
	fellCPU regression = 1 << iota
	fellFaults
	fellIO
	fellSwitches

	fellAll = fellCPU | fellFaults | fellIO | fellSwitches
)

// Regressions count how many times counters of a process fell, which the kernel
// promises that they never do. The totals of groups do not fall with them.
type Regressions struct {
	CPU, Faults, IO, Switches uint64
}

// note counts what fell since the last walk, and not again what is still low. A
// process that is being reaped shows no threads, and zeros: that is no fall.
func (n *Regressions) note(r *record, s *platform.Sample) {
	if s.Threads > 0 {
		for kind, to := range [...]*uint64{&n.CPU, &n.Faults, &n.IO, &n.Switches} {
			*to += uint64(r.low &^ r.fell >> kind & 1)
		}
		r.fell = r.low
	}
	r.low = 0
}
