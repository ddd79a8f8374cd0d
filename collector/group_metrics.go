package collector

import (
	"strconv"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
)

// Notes that several families share.
const (
	onlyBPF = "Only with the source `bpf`."
	needsIO = "With the source `procfs`, requires `CAP_SYS_PTRACE` and `CAP_DAC_READ_SEARCH` for processes of other users."
	onlyTop = "Only for rules with `top`."
)

// fileNames are the values of the label file: the /proc/PID file of each field.
var fileNames = map[platform.Fields]string{
	platform.FieldStat: "stat", platform.FieldStatus: "status", platform.FieldIO: "io",
	platform.FieldFDs: "fd", platform.FieldFDLimit: "limits", platform.FieldWChan: "wchan",
	platform.FieldSmaps: "smaps", platform.FieldTasks: "task", platform.FieldTaskUsage: "task",
}

// usageFamilies returns the number of processes, and the counters of CPU time, I/O,
// page faults and context switches.
func usageFamilies() []family {
	return []family{
		gaugeFamily("num_procs", 0, "Number of processes in this group.",
			func(g *grouping.Group) float64 { return float64(g.Procs) }).
			withNote("Includes zombies and children that joined the group; 0 for a group without processes.").in(grouping.CollectorProcs),
		{
			name: namespace + "cpu_seconds_total", collector: grouping.CollectorCPU, kind: counter, labels: []string{"mode"},
			help: "CPU time in seconds, including exited threads (utime and stime of /proc/PID/stat).",
			series: []series{
				{"user", platform.FieldStat, 0, func(g *grouping.Group) float64 { return seconds(g.UserNanos) }},
				{"system", platform.FieldStat, 0, func(g *grouping.Group) float64 { return seconds(g.SystemNanos) }},
			},
		},
		counterFamily("read_bytes_total", platform.FieldIO, "Bytes read from storage (read_bytes of /proc/PID/io).",
			func(g *grouping.Group) float64 { return float64(g.ReadBytes) }).withNote(needsIO).in(grouping.CollectorIO),
		counterFamily("write_bytes_total", platform.FieldIO,
			"Bytes written to storage (write_bytes of /proc/PID/io; cancelled_write_bytes is not subtracted).",
			func(g *grouping.Group) float64 { return float64(g.WriteBytes) }).withNote(needsIO).in(grouping.CollectorIO),
		counterFamily("major_page_faults_total", platform.FieldStat,
			"Major page faults, which read from storage (majflt of /proc/PID/stat).",
			func(g *grouping.Group) float64 { return float64(g.MajorFaults) }).in(grouping.CollectorFaults),
		counterFamily("minor_page_faults_total", platform.FieldStat,
			"Minor page faults, resolved without a read from storage (minflt of /proc/PID/stat).",
			func(g *grouping.Group) float64 { return float64(g.MinorFaults) }).in(grouping.CollectorFaults),
		{
			name: namespace + "context_switches_total", collector: grouping.CollectorSwitches, kind: counter, labels: []string{"ctxswitchtype"},
			help: "Context switches of threads (voluntary_ctxt_switches and nonvoluntary_ctxt_switches of /proc/PID/task/TID/status).",
			note: "With the source `procfs`, only of threads that exist during a scrape.",
			series: []series{
				{"voluntary", platform.FieldStatus, 0, func(g *grouping.Group) float64 { return float64(g.VoluntarySwitches) }},
				{"nonvoluntary", platform.FieldStatus, 0, func(g *grouping.Group) float64 { return float64(g.NonvoluntarySwitches) }},
			},
		},
	}
}

// descriptorAndThreadFamilies returns the gauges of file descriptors, start time and threads.
func descriptorAndThreadFamilies() []family {
	return []family{
		gaugeFamily("open_filedesc", platform.FieldFDs, "Number of open file descriptors (entries of /proc/PID/fd).",
			func(g *grouping.Group) float64 { return float64(g.FDs) }).
			withNote("Before Linux 6.2, the source `procfs` requires `CAP_DAC_READ_SEARCH` for processes of other users.").
			in(grouping.CollectorFiles),
		gaugeFamily("worst_fd_ratio", platform.FieldFDs|platform.FieldFDLimit,
			"Highest ratio of a process's open file descriptors to its soft limit (RLIMIT_NOFILE).",
			func(g *grouping.Group) float64 { return g.WorstFDRatio }).
			withNote("Does not include processes with a limit of 0.").in(grouping.CollectorFiles),
		{
			name: namespace + "oldest_start_time_seconds", collector: grouping.CollectorProcs, kind: gauge,
			help: "Start time of the process that started first, as Unix time in seconds (starttime of /proc/PID/stat).",
			note: "Absent for a group without processes; zombies count as processes.",
			collect: func(g *grouping.Group, put emit) {
				if g.Procs > 0 {
					put(float64(g.OldestStart), labelValues{}, 0)
				}
			},
		},
		gaugeFamily("num_threads", platform.FieldMemory, "Number of threads (num_threads of /proc/PID/stat).",
			func(g *grouping.Group) float64 { return float64(g.NumThreads) }).in(grouping.CollectorProcs),
	}
}

// memoryFamilies returns the gauges of memory.
func memoryFamilies() []family {
	const smaps = grouping.CollectorSmaps
	return []family{
		{
			name: namespace + "memory_bytes", collector: grouping.CollectorMemory, kind: gauge, labels: []string{"memtype"},
			help: "Memory in use in bytes (/proc/PID/stat, status and smaps_rollup).",
			note: "The proportional and unique values require the collector `smaps` and, for processes of other users, one of two " +
				"capabilities: `CAP_SYS_PTRACE` or, since Linux 6.15, `CAP_PERFMON`.",
			series: []series{
				{"resident", platform.FieldMemory, 0, func(g *grouping.Group) float64 { return float64(g.ResidentBytes) }},
				{"virtual", platform.FieldMemory, 0, func(g *grouping.Group) float64 { return float64(g.VirtualBytes) }},
				{"swapped", platform.FieldStatus, 0, func(g *grouping.Group) float64 { return float64(g.SwapBytes) }},
				{"proportionalResident", platform.FieldSmaps, smaps, func(g *grouping.Group) float64 { return float64(g.PSSBytes) }},
				{"proportionalSwapped", platform.FieldSmaps, smaps, func(g *grouping.Group) float64 { return float64(g.SwapPSSBytes) }},
				{"unique", platform.FieldSmaps, smaps, func(g *grouping.Group) float64 { return float64(g.USSBytes) }},
			},
		},
		gaugeFamily("smaps_age_seconds", platform.FieldSmaps,
			"Seconds since the oldest proportional or unique memory value of this group was read.",
			func(g *grouping.Group) float64 { return g.SmapsAge }).
			withNote("Only with the collector `smaps`.").in(grouping.CollectorSmaps),
	}
}

func statesFamily() family {
	f := family{
		name: namespace + "states", collector: grouping.CollectorStates, kind: gauge, labels: []string{"state"},
		help: "Number of threads by state (/proc/PID/task/TID/status).",
		note: "`Waiting` is uninterruptible sleep.",
	}
	for i, name := range grouping.StateNames {
		f.series = append(f.series, series{name, platform.FieldMemory, 0,
			func(g *grouping.Group) float64 { return float64(g.States[i]) }})
	}
	return f
}

func wchanFamily() family {
	return family{
		name: namespace + "threads_wchan", collector: grouping.CollectorWChan, kind: gauge, labels: []string{"wchan"},
		help: "Number of threads by the kernel function in which they sleep (/proc/PID/task/TID/wchan).",
		note: "Requires `CAP_SYS_PTRACE` for processes of other users.",
		collect: func(g *grouping.Group, put emit) {
			for _, w := range g.WChans {
				put(float64(w.Count), labelValues{w.Name}, 0)
			}
		},
	}
}

// waitFamilies returns the counters of time that threads spent waiting.
func waitFamilies() []family {
	return []family{
		counterFamily("cpu_wait_seconds_total", platform.FieldRunWait,
			"Time in seconds that runnable threads waited for a CPU (run_delay of the kernel's scheduler).",
			func(g *grouping.Group) float64 { return seconds(g.RunWaitNanos) }).withNote(onlyBPF).in(grouping.CollectorCPU),
		counterFamily("block_io_wait_seconds_total", platform.FieldBlockWait,
			"Time in seconds that threads waited for block devices (blkio_delay of the kernel's delay accounting).",
			func(g *grouping.Group) float64 { return seconds(g.BlockWaitNanos) }).
			withNote("Only with the source `bpf` and delay accounting " +
				"(boot parameter `delayacct`, or `kernel.task_delayacct` set before the processes start).").in(grouping.CollectorIO),
	}
}

// lifecycleFamilies returns the counters of starts and exits, including
// processes that exist between two updates only.
func lifecycleFamilies() []family {
	counted := func(name, help string, collect func(*grouping.Group, emit), labels ...string) family {
		return family{name: namespace + name, kind: counter, labels: labels, help: help, note: onlyBPF,
			collector: grouping.CollectorExits,
			collect: func(g *grouping.Group, put emit) {
				if g.ExitsKnown {
					collect(g, put)
				}
			}}
	}
	return []family{
		counted("starts_total", "Number of processes that started in this group or joined it by execve(2).",
			func(g *grouping.Group, put emit) { put(float64(g.Starts), labelValues{}, 0) }),
		counted("exits_total", "Number of processes of this group that exited, by reason and by exit status or signal.",
			func(g *grouping.Group, put emit) {
				for _, e := range g.Exits {
					put(float64(e.Count), labelValues{e.Reason, e.Code}, e.CountStart)
				}
			}, "reason", "code").withNote("Only with the source `bpf`; a zombie is not counted until it is reaped."),
		counted("matched_exits_total", "Number of exited processes that matched a rule themselves, by reason and by exit status or signal.",
			func(g *grouping.Group, put emit) {
				for _, e := range g.Exits {
					if e.Matched > 0 {
						put(float64(e.Matched), labelValues{e.Reason, e.Code}, e.MatchedStart)
					}
				}
			}, "reason", "code").
			withNote("Only with the source `bpf`; unlike `namedprocess_namegroup_exits_total`, without children that joined the group."),
		counted("oom_kills_total", "Number of processes of this group that the out-of-memory killer of the kernel killed.",
			func(g *grouping.Group, put emit) { put(float64(g.OOMKills), labelValues{}, 0) }),
	}
}

// expectationFamilies returns the bounds that the rule of a group sets, and the number of
// processes to compare with them.
func expectationFamilies() []family {
	expected := family{
		name: namespace + "expected_procs", collector: grouping.CollectorProcs, kind: gauge, labels: []string{"bound"},
		help: "Number of processes that the rule of this group expects, as bounds `min` and `max`.",
		note: "Only for rules with `expect`; `max` only if `expect` has `max`.",
		collect: func(g *grouping.Group, put emit) {
			if g.Expect == nil {
				return
			}
			put(float64(g.Expect.Min), labelValues{"min"}, 0)
			if g.Expect.Max >= 0 {
				put(float64(g.Expect.Max), labelValues{"max"}, 0)
			}
		},
	}
	matched := family{
		name: namespace + "matched_procs", collector: grouping.CollectorProcs, kind: gauge,
		help: "Number of processes that match the rule of this group, without zombies and without children that joined the group.",
		note: "Only for rules with `expect`.",
		collect: func(g *grouping.Group, put emit) {
			if g.Expect != nil {
				put(float64(g.Matched), labelValues{}, 0)
			}
		},
	}
	return []family{expected, matched}
}

func groupChangesFamily() family {
	return family{
		name: namespace + "group_changes_total", collector: grouping.CollectorProcs, kind: counter,
		help:    "Number of processes that moved into this group from another group or from no group, for example after exec or a reload.",
		collect: func(g *grouping.Group, put emit) { put(float64(g.GroupChanges), labelValues{}, 0) },
	}
}

// topFamilies returns the gauges of single processes.
func topFamilies() []family {
	top := func(name, help string, members func(*grouping.Group) []grouping.TopProcess) family {
		return family{name: "namedprocess_process_" + name, kind: gauge, labels: []string{"pid", "comm"}, help: help, note: onlyTop,
			collector: grouping.CollectorTop,
			collect: func(g *grouping.Group, put emit) {
				for _, m := range members(g) {
					put(m.Value, labelValues{strconv.Itoa(m.PID), m.Comm}, 0)
				}
			}}
	}
	return []family{
		top("cpu_usage_ratio", "CPU usage of one process since the previous scrape, where 1 is one core.",
			func(g *grouping.Group) []grouping.TopProcess { return g.TopCPU }),
		top("resident_memory_bytes", "Resident memory of one process in bytes, including shared pages (VmRSS of /proc/PID/status).",
			func(g *grouping.Group) []grouping.TopProcess { return g.TopRSS }),
	}
}

func unreadableFamily() family {
	return family{
		name: namespace + "unreadable_procs", collector: grouping.CollectorScrape, kind: gauge, labels: []string{"file"},
		help: "Number of processes with an unreadable /proc/PID file; metrics from this file do not include them.",
		note: "Absent if all files were read.",
		collect: func(g *grouping.Group, put emit) {
			for _, gap := range g.Unreadable {
				put(float64(gap.Procs), labelValues{fileNames[gap.Field]}, 0)
			}
			if n := g.Sockets.Unreadable; n > 0 {
				put(float64(n), labelValues{"sockets"}, 0)
			}
		},
	}
}
