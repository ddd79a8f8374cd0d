package grouping

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/seed57308aee/process_exporter/platform"
)

// Collectors is a set of collectors. Every metric family belongs to one collector.
type Collectors uint32

// The collectors, in the order of [CollectorTable].
const (
	CollectorCPU Collectors = 1 << iota
	CollectorExits
	CollectorFaults
	CollectorFiles
	CollectorIO
	CollectorMemory
	CollectorProcs
	CollectorRules
	CollectorScrape
	CollectorSmaps
	CollectorStates
	CollectorSwitches
	CollectorThreads
	CollectorTop
	CollectorWChan

	AllCollectors = CollectorWChan<<1 - 1
)

// A CollectorInfo describes a collector.
type CollectorInfo struct {
	Name   string
	Help   string          // one sentence
	Fields platform.Fields // fields of a [platform.Sample] that its metrics need
}

// CollectorTable describes all collectors, sorted by name. The bit of an element in
// [Collectors] is its index. Every walk reads FieldStat, which identifies a process.
var CollectorTable = [...]CollectorInfo{
	{"cpu", "CPU time, and time spent waiting for a CPU.", platform.FieldStat},
	{"exits", "Process starts, exits and OOM kills.", 0},
	{"faults", "Page faults.", platform.FieldStat},
	{"files", "Open file descriptors.", platform.FieldFDs | platform.FieldFDLimit},
	{"io", "Bytes read and written, and time spent waiting for block devices.", platform.FieldIO},
	{"memory", "Resident, virtual and swapped memory.", platform.FieldStat | platform.FieldStatus},
	{"procs", "Processes, threads, start time, expected processes, group changes.", platform.FieldStat},
	{"rules", "Matches of rules, processes in no group, and limits of groups.", 0},
	{"scrape", "Duration and errors of scrapes.", 0},
	{"smaps", "Proportional and unique memory (PSS and USS).", platform.FieldSmaps},
	{"states", "Threads by state.", platform.FieldStat | platform.FieldTasks},
	{"switches", "Context switches.", platform.FieldStatus | platform.FieldTasks},
	{"threads", "All metrics per thread name.", platform.FieldTasks | platform.FieldTaskUsage | platform.FieldIO},
	{"top", "Processes with the highest usage, for rules with top.", platform.FieldStat | platform.FieldStatus},
	{"wchan", "Threads by the kernel function in which they sleep.", platform.FieldWChan | platform.FieldTasks},
}

// EnabledCollectors returns the collectors that the flags or a rule of m enable.
func EnabledCollectors(m Matcher, flags Collectors) Collectors {
	enabled := flags
	for _, r := range m.Rules() {
		enabled |= r.enabled
	}
	return enabled
}

// Has reports whether the set contains all collectors of other.
func (c Collectors) Has(other Collectors) bool { return c&other == other }

// Fields returns the fields of a Sample that the metrics of the collectors need.
func (c Collectors) Fields() (f platform.Fields) {
	for ; c != 0; c &= c - 1 {
		f |= CollectorTable[bits.TrailingZeros32(uint32(c))].Fields
	}
	return f
}

// Names returns the names of the collectors, sorted.
func (c Collectors) Names() (names []string) {
	for ; c != 0; c &= c - 1 {
		names = append(names, CollectorTable[bits.TrailingZeros32(uint32(c))].Name)
	}
	return names
}

// ParseCollector returns the collector with this name. The error lists all names.
func ParseCollector(name string) (Collectors, error) {
	names := AllCollectors.Names()
	if i := slices.Index(names, name); i >= 0 {
		return 1 << i, nil
	}
	return 0, fmt.Errorf("unknown collector %q; the collectors are %s", name, strings.Join(names, ", "))
}
