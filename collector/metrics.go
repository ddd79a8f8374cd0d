package collector

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
)

// A family is one row of the table that Describe, Collect and the
// documentation all walk, so that none can know of a metric another does not.
type family struct {
	name   string
	kind   prometheus.ValueType
	labels []string // beside groupname and those that rules give
	help   string   // one sentence, with the unit and where the kernel tells it
	note   string   // for the documentation: what it takes and what is special

	series []series                    // a fixed set of label values
	each   func(*grouping.Group, emit) // or one that depends on the processes
	tasks  bool                        // only with -threads
}

// A series is one value of a family.
type series struct {
	label string // value of the label beside groupname, "" if there is none
	needs platform.Fields
	total bool // a counter: known once its part was ever read
	value func(*grouping.Group) float64
}

// emit takes a value and those of the labels beside groupname.
type emit func(value float64, labels values)

// values are those of the labels of one family. An array leaves nothing for the
// garbage collector, of which there are thousands in a scrape.
type values [2]string

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

// has reports whether g knows the value.
func (s *series) has(g *grouping.Group) bool {
	if s.total {
		return g.Counted&s.needs == s.needs
	}
	return g.Known&s.needs == s.needs
}

func seconds(nanos uint64) float64 { return float64(nanos) / 1e9 }

const namespace = "namedprocess_namegroup_"

// The names of the states, in the order of [grouping.Group.States].
var stateNames = [grouping.NumStates]string{"Running", "Sleeping", "Waiting", "Zombie", "Other"}

// fileNames are the values of the label file: what each part is read from.
var fileNames = map[platform.Fields]string{
	platform.FieldStat: "stat", platform.FieldStatus: "status", platform.FieldIO: "io",
	platform.FieldFDs: "fd", platform.FieldFDLimit: "limits", platform.FieldWChan: "wchan",
	platform.FieldSmaps: "smaps", platform.FieldTasks: "task", platform.FieldTaskUsage: "task",
}

// one is a family of a single gauge by group.
func one(name string, needs platform.Fields, help, note string, value func(*grouping.Group) float64) family {
	return family{name: namespace + name, kind: gauge, help: help, note: note, series: []series{{needs: needs, value: value}}}
}

// total is a family of a single counter by group.
func total(name string, needs platform.Fields, help, note string, value func(*grouping.Group) float64) family {
	return family{name: namespace + name, kind: counter, help: help, note: note, series: []series{{needs: needs, total: true, value: value}}}
}

// families returns the table of all metrics that groups have.
func families() []family {
	all := usageFamilies()
	all = append(all, memoryFamily(), smapsAgeFamily(), statesFamily(), wchanFamily())
	all = append(all, threadFamilies()...)
	all = append(all, waitFamilies()...)
	all = append(all, lifeFamilies()...)
	all = append(all, expectedFamily(), regroupsFamily())
	all = append(all, topFamilies()...)
	return append(all, unreadableFamily())
}

func usageFamilies() []family {
	const needsIO = "`CAP_SYS_PTRACE` and `CAP_DAC_READ_SEARCH` for processes of other users."
	return []family{
		one("num_procs", 0, "Number of processes in this group.",
			"0 for a group whose processes have all exited.",
			func(g *grouping.Group) float64 { return float64(g.Procs) }),
		{name: namespace + "cpu_seconds_total", kind: counter, labels: []string{"mode"},
			help: "CPU time used, in seconds, dead threads included (utime and stime of /proc/PID/stat).",
			series: []series{
				{label: "user", needs: platform.FieldStat, total: true, value: func(g *grouping.Group) float64 { return seconds(g.UserNanos) }},
				{label: "system", needs: platform.FieldStat, total: true, value: func(g *grouping.Group) float64 { return seconds(g.SystemNanos) }},
			}},
		total("read_bytes_total", platform.FieldIO, "Bytes fetched from storage (read_bytes of /proc/PID/io).", needsIO,
			func(g *grouping.Group) float64 { return float64(g.ReadBytes) }),
		total("write_bytes_total", platform.FieldIO, "Bytes sent to storage, even if truncated before they got there (write_bytes of /proc/PID/io).", needsIO,
			func(g *grouping.Group) float64 { return float64(g.WriteBytes) }),
		total("major_page_faults_total", platform.FieldStat, "Page faults that had to wait for storage (majflt of /proc/PID/stat).", "",
			func(g *grouping.Group) float64 { return float64(g.MajorFaults) }),
		total("minor_page_faults_total", platform.FieldStat, "Page faults served from memory (minflt of /proc/PID/stat).", "",
			func(g *grouping.Group) float64 { return float64(g.MinorFaults) }),
		{name: namespace + "context_switches_total", kind: counter, labels: []string{"ctxswitchtype"},
			help: "Context switches of all threads (ctxt_switches of /proc/PID/task/TID/status).",
			series: []series{
				{label: "voluntary", needs: platform.FieldStatus, total: true, value: func(g *grouping.Group) float64 { return float64(g.VoluntarySwitches) }},
				{label: "nonvoluntary", needs: platform.FieldStatus, total: true, value: func(g *grouping.Group) float64 { return float64(g.NonvoluntarySwitches) }},
			}},
		one("open_filedesc", platform.FieldFDs, "Open file descriptors (entries of /proc/PID/fd).",
			"From Linux 6.2 on it takes no privilege, before `CAP_DAC_READ_SEARCH` for processes of other users.",
			func(g *grouping.Group) float64 { return float64(g.FDs) }),
		one("worst_fd_ratio", platform.FieldFDs|platform.FieldFDLimit, "Open file descriptors by their soft limit, from 0 to 1, of the process that comes closest to it.",
			"A process whose limit is 0 is left out.",
			func(g *grouping.Group) float64 { return g.WorstFDRatio }),
		{name: namespace + "oldest_start_time_seconds", kind: gauge,
			help: "When the oldest process of this group started, in whole seconds since 1970 (starttime of /proc/PID/stat).",
			note: "Absent while the group has no process.",
			each: func(g *grouping.Group, put emit) {
				if g.Procs > 0 {
					put(float64(g.OldestStart), values{})
				}
			}},
		one("num_threads", platform.FieldMemory, "Number of threads (num_threads of /proc/PID/stat).", "",
			func(g *grouping.Group) float64 { return float64(g.NumThreads) }),
	}
}

func memoryFamily() family {
	return family{name: namespace + "memory_bytes", kind: gauge, labels: []string{"memtype"},
		help: "Memory in use, in bytes (/proc/PID/stat, status and smaps_rollup).",
		note: "`resident` counts shared pages once for every process, `proportionalResident` (PSS) divides them by their users, `unique` (USS) leaves them out. " +
			"The last three only with `-gather-smaps`; they take `CAP_SYS_PTRACE` for processes of other users.",
		series: []series{
			{label: "resident", needs: platform.FieldMemory, value: func(g *grouping.Group) float64 { return float64(g.ResidentBytes) }},
			{label: "virtual", needs: platform.FieldMemory, value: func(g *grouping.Group) float64 { return float64(g.VirtualBytes) }},
			{label: "swapped", needs: platform.FieldStatus, value: func(g *grouping.Group) float64 { return float64(g.SwapBytes) }},
			{label: "proportionalResident", needs: platform.FieldSmaps, value: func(g *grouping.Group) float64 { return float64(g.PSSBytes) }},
			{label: "proportionalSwapped", needs: platform.FieldSmaps, value: func(g *grouping.Group) float64 { return float64(g.SwapPSSBytes) }},
			{label: "unique", needs: platform.FieldSmaps, value: func(g *grouping.Group) float64 { return float64(g.USSBytes) }},
		}}
}

func smapsAgeFamily() family {
	return one("smaps_age_seconds", platform.FieldSmaps, "Seconds since the oldest value in the proportional and unique memory of this group was read.",
		"Only with `-gather-smaps`. It grows where `--smaps.budget` does not suffice for all processes at every scrape.",
		func(g *grouping.Group) float64 { return g.SmapsAge })
}

func statesFamily() family {
	f := family{name: namespace + "states", kind: gauge, labels: []string{"state"},
		help: "Number of threads by state (/proc/PID/task/TID/status).",
		note: "`Waiting` is uninterruptible sleep. The sum is the number of threads, but for those of processes of several that do not answer."}
	for i, name := range stateNames {
		f.series = append(f.series, series{label: name, needs: platform.FieldMemory,
			value: func(g *grouping.Group) float64 { return float64(g.States[i]) }})
	}
	return f
}

func wchanFamily() family {
	return family{name: namespace + "threads_wchan", kind: gauge, labels: []string{"wchan"},
		help: "Number of threads by the kernel function that they sleep in (/proc/PID/task/TID/wchan).",
		note: "Without `CAP_SYS_PTRACE` the kernel hides it for processes of other users.",
		each: func(g *grouping.Group, put emit) {
			for _, w := range g.WChans {
				put(float64(w.Count), values{w.Name})
			}
		}}
}

func threadFamilies() []family {
	const multi = "Only processes with at least two threads are counted. "
	row := func(name string, kind prometheus.ValueType, label, help string, each func(*grouping.Thread, emit)) family {
		f := family{name: namespace + name, kind: kind, labels: []string{"threadname"}, help: help, note: multi, tasks: true}
		if label != "" {
			f.labels = append(f.labels, label)
		}
		f.each = func(g *grouping.Group, put emit) {
			for i := range g.Threads {
				each(&g.Threads[i], put)
			}
		}
		return f
	}
	return []family{
		row("thread_count", gauge, "", "Number of threads of this name (/proc/PID/task).", func(t *grouping.Thread, put emit) {
			put(float64(t.Count), values{t.Name})
		}),
		row("thread_cpu_seconds_total", counter, "mode", "CPU time used by threads of this name, in seconds (/proc/PID/task/TID/stat).", func(t *grouping.Thread, put emit) {
			put(seconds(t.UserNanos), values{t.Name, "user"})
			put(seconds(t.SystemNanos), values{t.Name, "system"})
		}),
		row("thread_io_bytes_total", counter, "iomode", "Bytes fetched from and sent to storage by threads of this name (/proc/PID/task/TID/io).", func(t *grouping.Thread, put emit) {
			if t.Counted&platform.FieldIO != 0 {
				put(float64(t.ReadBytes), values{t.Name, "read"})
				put(float64(t.WriteBytes), values{t.Name, "write"})
			}
		}),
		row("thread_major_page_faults_total", counter, "", "Page faults of threads of this name that had to wait for storage (/proc/PID/task/TID/stat).", func(t *grouping.Thread, put emit) {
			put(float64(t.MajorFaults), values{t.Name})
		}),
		row("thread_minor_page_faults_total", counter, "", "Page faults of threads of this name served from memory (/proc/PID/task/TID/stat).", func(t *grouping.Thread, put emit) {
			put(float64(t.MinorFaults), values{t.Name})
		}),
		row("thread_context_switches_total", counter, "ctxswitchtype", "Context switches of threads of this name (/proc/PID/task/TID/status).", func(t *grouping.Thread, put emit) {
			put(float64(t.VoluntarySwitches), values{t.Name, "voluntary"})
			put(float64(t.NonvoluntarySwitches), values{t.Name, "nonvoluntary"})
		}),
	}
}

func waitFamilies() []family {
	return []family{
		total("cpu_wait_seconds_total", platform.FieldRunWait, "Time that threads were ready to run and waited for a CPU, in seconds (run_delay of the kernel's scheduler).", onlyBPF,
			func(g *grouping.Group) float64 { return seconds(g.RunWaitNanos) }),
		total("block_io_wait_seconds_total", platform.FieldBlockWait, "Time that threads waited for block devices, in seconds (blkio_delay of the kernel's delay accounting).",
			onlyBPF+" It takes delay accounting, which is off unless the kernel was booted with `delayacct` or `kernel.task_delayacct` is set before the processes start.",
			func(g *grouping.Group) float64 { return seconds(g.BlockWaitNanos) }),
	}
}

// onlyBPF is the note of what /proc cannot tell.
const onlyBPF = "Only with the source `bpf`."

// lifeFamilies tell of processes that start and end, however short they live.
func lifeFamilies() []family {
	watched := func(name, help, note string, each func(*grouping.Group, emit), labels ...string) family {
		return family{name: namespace + name, kind: counter, labels: labels, help: help, note: onlyBPF + note,
			each: func(g *grouping.Group, put emit) {
				if g.ExitsKnown {
					each(g, put)
				}
			}}
	}
	return []family{
		watched("starts_total", "Processes that joined this group, newly born or as a new program.", "",
			func(g *grouping.Group, put emit) { put(float64(g.Starts), values{}) }),
		watched("exits_total", "Processes of this group that ended, by reason (exited, killed, dumped) and exit status or signal.",
			" A process counts once its parent has taken note of its end.",
			func(g *grouping.Group, put emit) {
				for _, e := range g.Exits {
					put(float64(e.Count), values{e.Reason, e.Code})
				}
			}, "reason", "code"),
		watched("oom_kills_total", "Processes of this group that the kernel killed for lack of memory.", "",
			func(g *grouping.Group, put emit) { put(float64(g.OOMKills), values{}) }),
	}
}

func expectedFamily() family {
	return family{name: namespace + "expected_procs", kind: gauge, labels: []string{"bound"},
		help: "Number of processes that this group should have, by the bounds `min` and `max` of its rule.",
		note: "Only for rules with `expect`. Alert where num_procs is below the one or above the other.",
		each: func(g *grouping.Group, put emit) {
			if g.Expect == nil {
				return
			}
			put(float64(g.Expect.Min), values{"min"})
			if g.Expect.Max >= 0 {
				put(float64(g.Expect.Max), values{"max"})
			}
		}}
}

func regroupsFamily() family {
	return family{name: namespace + "regroups_total", kind: counter,
		help: "Times that a process came to this group from another, or from none, because its program, name, user or control group changed.",
		each: func(g *grouping.Group, put emit) { put(float64(g.GroupChanges), values{}) }}
}

// topFamilies tell of single processes.
func topFamilies() []family {
	row := func(name, help string, members func(*grouping.Group) []grouping.Member) family {
		return family{name: "namedprocess_process_" + name, kind: gauge, labels: []string{"pid", "comm"}, help: help,
			note: "Only for rules with `top`, and for as many processes of the group as that says.",
			each: func(g *grouping.Group, put emit) {
				for _, m := range members(g) {
					put(m.Value, values{strconv.Itoa(m.PID), m.Comm})
				}
			}}
	}
	return []family{
		row("cpu_usage_ratio", "CPU time that a process used since the scrape before, in seconds per second: 1 is one core.",
			func(g *grouping.Group) []grouping.Member { return g.TopCPU }),
		row("resident_memory_bytes", "Memory that a process has, shared pages included, in bytes (rss of /proc/PID/stat).",
			func(g *grouping.Group) []grouping.Member { return g.TopRSS }),
	}
}

func unreadableFamily() family {
	return family{name: namespace + "unreadable_procs", kind: gauge, labels: []string{"file"},
		help: "Number of processes of which a file of /proc/PID could not be read; their share is missing from what comes from it.",
		note: "Absent where everything was read.",
		each: func(g *grouping.Group, put emit) {
			for _, gap := range g.Unreadable {
				put(float64(gap.Procs), values{fileNames[gap.Field]})
			}
		}}
}
