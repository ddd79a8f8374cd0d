package grouping

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/seed57308aee/process_exporter/platform"
)

// A CollectorSet is a set of collectors. Every metric family belongs to one collector.
type CollectorSet uint32

// The collectors, in the order of [CollectorTable].
const (
	CollectorCPU CollectorSet = 1 << iota
	CollectorExits
	CollectorFaults
	CollectorFiles
	CollectorIO
	CollectorMemory
	CollectorNetwork
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
	Name         string
	Help         string          // one sentence
	Fields       platform.Fields // fields of a [platform.Sample] that its metrics need
	OffByDefault bool            // disabled without its flag
}

// CollectorTable describes all collectors, sorted by name. The bit of an element in
// [CollectorSet] is its index. Every walk reads FieldStat, which identifies a process.
var CollectorTable = [...]CollectorInfo{
	{Name: "cpu", Help: "CPU time, and time spent waiting for a CPU.", Fields: platform.FieldStat},
	{Name: "exits", Help: "Process starts, exits and OOM kills."},
	{Name: "faults", Help: "Page faults.", Fields: platform.FieldStat},
	{Name: "files", Help: "Open file descriptors.", Fields: platform.FieldFDs | platform.FieldFDLimit},
	{Name: "io", Help: "Bytes read from and written to storage, and time spent waiting for storage.", Fields: platform.FieldIO},
	{Name: "memory", Help: "Resident, virtual and swapped memory.", Fields: platform.FieldStat | platform.FieldStatus},
	{Name: "network", Help: "TCP connections and their bytes, listening ports, UDP and UNIX domain sockets.", OffByDefault: true},
	{Name: "procs", Help: "Processes, threads, start time, expected processes, group changes.", Fields: platform.FieldStat},
	{Name: "rules", Help: "Matches of rules, processes in no group, and limits of groups."},
	{Name: "scrape", Help: "Duration and errors of scrapes."},
	{Name: "smaps", Help: "Proportional and unique memory (PSS and USS).", Fields: platform.FieldSmaps},
	{Name: "states", Help: "Threads by state.", Fields: platform.FieldStat | platform.FieldTasks},
	{Name: "switches", Help: "Context switches.", Fields: platform.FieldStatus | platform.FieldTasks},
	{Name: "threads", Help: "All metrics per thread name.", Fields: platform.FieldTasks | platform.FieldTaskUsage | platform.FieldIO},
	{Name: "top", Help: "Processes with the highest usage, for rules with top.", Fields: platform.FieldStat | platform.FieldStatus},
	{Name: "wchan", Help: "Threads by the kernel function in which they sleep.", Fields: platform.FieldWChan | platform.FieldTasks},
}

// EnabledCollectors returns the collectors that the flags or a rule of m enable.
func EnabledCollectors(m Matcher, flags CollectorSet) CollectorSet {
	enabled := flags
	for _, r := range m.Rules() {
		enabled |= r.enabled
	}
	return enabled
}

// Has reports whether the set contains all collectors of other.
func (c CollectorSet) Has(other CollectorSet) bool { return c&other == other }

// Fields returns the fields of a Sample that the metrics of the collectors need.
func (c CollectorSet) Fields() (f platform.Fields) {
	for ; c != 0; c &= c - 1 {
		f |= CollectorTable[bits.TrailingZeros32(uint32(c))].Fields
	}
	return f
}

// Names returns the names of the collectors, sorted.
func (c CollectorSet) Names() (names []string) {
	for ; c != 0; c &= c - 1 {
		names = append(names, CollectorTable[bits.TrailingZeros32(uint32(c))].Name)
	}
	return names
}

// ParseCollector returns the collector with this name. The error lists all names.
func ParseCollector(name string) (CollectorSet, error) {
	names := AllCollectors.Names()
	if i := slices.Index(names, name); i >= 0 {
		return 1 << i, nil
	}
	return 0, fmt.Errorf("unknown collector %q; the collectors are %s", name, strings.Join(names, ", "))
}
