package grafana

// Group tells everything about the chosen groups.
func Group() Dashboard {
	d := newDashboard("process-exporter-group", "Process exporter / Group",
		"Everything about a group of processes. Choose one, or a few to compare.")
	d.groupGlance()
	d.groupCPU()
	d.groupMemory()
	d.groupStorage()
	d.groupProcesses()
	d.groupThreads()
	d.groupMembers()
	return d
}

func (d *Dashboard) groupGlance() {
	d.row("At a glance")
	d.number(look{title: "Processes", unit: "short", description: "Processes of the group.",
		queries: []query{{promql(`sum(namedprocess_namegroup_num_procs{G})`), "processes"}}}, -1)
	d.number(look{title: "CPU", unit: "short", description: "Cores kept busy.",
		queries: []query{{promql(`sum(rate(namedprocess_namegroup_cpu_seconds_total{G}[R]))`), "cores"}}}, -1)
	d.number(look{title: "Memory", unit: "bytes", description: "Resident memory, with pages that processes share counted once for each.",
		queries: []query{{promql(`sum(namedprocess_namegroup_memory_bytes{G,memtype="resident"})`), "resident"}}}, -1)
	d.number(look{title: "File descriptors", unit: "percentunit", description: "Open file descriptors by their limit, of the process that comes closest to it.",
		queries: []query{{promql(`max(namedprocess_namegroup_worst_fd_ratio{G})`), "of limit"}}}, 0.8)
	d.number(look{title: "Oldest process", unit: "s", description: "For how long the oldest process has run.",
		queries: []query{{promql(`time() - min(namedprocess_namegroup_oldest_start_time_seconds{G})`), "age"}}}, -1)
	d.number(look{title: "Failed in the last hour", unit: "short", description: "Processes that ended with a status other than 0 or by a signal. Only with the source bpf.",
		queries: []query{{promql(`sum(increase(namedprocess_namegroup_exits_total{G,code!="0"}[1h])) or vector(0)`), "failed"}}}, 1)
}

func (d *Dashboard) groupCPU() {
	d.row("CPU")
	d.stack(look{title: "CPU", unit: "short", description: "Cores kept busy, in the program and in the kernel on its behalf.",
		queries: []query{{promql(`sum by (groupname, mode) (rate(namedprocess_namegroup_cpu_seconds_total{G}[R]))`), "{{groupname}} {{mode}}"}}})
	d.graph(look{title: "Waiting for a CPU", unit: "short", description: "Threads that were ready to run and had to wait, on average. Above 0 for long: too few cores, or a quota. Only with the source bpf.",
		queries: []query{{promql(`sum by (groupname) (rate(namedprocess_namegroup_cpu_wait_seconds_total{G}[R]))`), "{{groupname}}"}}})
	d.graph(look{title: "Context switches", unit: "ops", description: "Voluntary ones wait for something; at the others the kernel took the CPU away.",
		queries: []query{{promql(`sum by (groupname, ctxswitchtype) (rate(namedprocess_namegroup_context_switches_total{G}[R]))`), "{{groupname}} {{ctxswitchtype}}"}}})
}

func (d *Dashboard) groupMemory() {
	d.row("Memory")
	d.graph(look{title: "Memory", unit: "bytes", description: "Resident counts shared pages for each process, proportional divides them by their users, unique leaves them out.",
		queries: []query{{promql(`sum by (groupname, memtype) (namedprocess_namegroup_memory_bytes{G,memtype!="virtual"})`), "{{groupname}} {{memtype}}"}}})
	d.graph(look{title: "Memory per process", unit: "bytes", description: "Resident memory by the number of processes, on each host.",
		queries: []query{{promql(`namedprocess_namegroup_memory_bytes{G,memtype="resident"} / ignoring (memtype) (namedprocess_namegroup_num_procs{G} > 0)`), "{{groupname}} {{instance}}"}}})
	d.graph(look{title: "Page faults", unit: "ops", description: "Major ones had to wait for storage, minor ones were served from memory.",
		queries: []query{
			{promql(`sum by (groupname) (rate(namedprocess_namegroup_major_page_faults_total{G}[R]))`), "{{groupname}} major"},
			{promql(`sum by (groupname) (rate(namedprocess_namegroup_minor_page_faults_total{G}[R]))`), "{{groupname}} minor"},
		}})
}

func (d *Dashboard) groupStorage() {
	d.row("Storage and files")
	d.graph(look{title: "Storage I/O", unit: "Bps", description: "Bytes fetched from and sent to storage. What the page cache serves is not in it.",
		queries: []query{
			{promql(`sum by (groupname) (rate(namedprocess_namegroup_read_bytes_total{G}[R]))`), "{{groupname}} read"},
			{promql(`sum by (groupname) (rate(namedprocess_namegroup_write_bytes_total{G}[R]))`), "{{groupname}} written"},
		}})
	d.graph(look{title: "Waiting for block devices", unit: "short", description: "Threads that waited for a block device, on average. Only with the source bpf and with the kernel's delay accounting turned on.",
		queries: []query{{promql(`sum by (groupname) (rate(namedprocess_namegroup_block_io_wait_seconds_total{G}[R]))`), "{{groupname}}"}}})
	d.graph(look{title: "Open file descriptors", unit: "short", description: "Open file descriptors on each host.",
		queries: []query{{promql(`sum by (groupname, instance) (namedprocess_namegroup_open_filedesc{G})`), "{{groupname}} {{instance}}"}}})
}

func (d *Dashboard) groupProcesses() {
	d.row("Processes")
	d.graph(look{title: "Processes", unit: "short", description: "Processes on each host, and the bounds that their rule expects.",
		queries: []query{
			{promql(`sum by (groupname, instance) (namedprocess_namegroup_num_procs{G})`), "{{groupname}} {{instance}}"},
			{promql(`max by (groupname) (namedprocess_namegroup_expected_min_procs{G})`), "{{groupname}} min"},
			{promql(`max by (groupname) (namedprocess_namegroup_expected_max_procs{G})`), "{{groupname}} max"},
		}})
	d.stack(look{title: "Starts and moves", unit: "ops", description: "Processes that joined the group, and those that came to it from another since they changed their program, name, user or control group. Starts only with the source bpf.",
		queries: []query{
			{promql(`sum by (groupname) (rate(namedprocess_namegroup_starts_total{G}[R]))`), "{{groupname}} started"},
			{promql(`sum by (groupname) (rate(namedprocess_namegroup_group_changes_total{G}[R]))`), "{{groupname}} moved"},
		}})
	d.stack(look{title: "Ends", unit: "short", description: "Processes that ended in the last ten minutes, by exit status or signal. Only with the source bpf.",
		queries: []query{{promql(`sum by (groupname, reason, code) (increase(namedprocess_namegroup_exits_total{G}[10m]))`), "{{groupname}} {{reason}} {{code}}"}}})
}

func (d *Dashboard) groupThreads() {
	d.row("Threads")
	d.graph(look{title: "Threads by state", unit: "short", description: "What threads do. Running ones want a CPU, waiting ones cannot be interrupted.",
		queries: []query{{promql(`sum by (groupname, state) (namedprocess_namegroup_states{G})`), "{{groupname}} {{state}}"}}})
	d.stack(look{title: "CPU by thread name", unit: "short", description: "Cores kept busy by threads of one name; the ten busiest names. Of processes with at least two threads.",
		queries: []query{{promql(`topk(10, sum by (groupname, threadname) (rate(namedprocess_namegroup_thread_cpu_seconds_total{G}[R])))`), "{{groupname}} {{threadname}}"}}})
	d.stack(look{title: "Storage I/O by thread name", unit: "Bps", description: "Bytes fetched from and sent to storage by threads of one name; the ten that move most.",
		queries: []query{{promql(`topk(10, sum by (groupname, threadname, iomode) (rate(namedprocess_namegroup_thread_io_bytes_total{G}[R])))`), "{{groupname}} {{threadname}} {{iomode}}"}}})
	d.stack(look{title: "Threads by name", unit: "short", description: "Number of threads of one name; the ten most frequent.",
		queries: []query{{promql(`topk(10, sum by (groupname, threadname) (namedprocess_namegroup_thread_count{G}))`), "{{groupname}} {{threadname}}"}}})
	d.stack(look{title: "What sleeping threads wait for", unit: "short", description: "Threads by the kernel function that they sleep in.",
		queries: []query{{promql(`topk(10, sum by (groupname, wchan) (namedprocess_namegroup_threads_wchan{G}))`), "{{groupname}} {{wchan}}"}}})
	d.graph(look{title: "Threads on each host", unit: "short", description: "Number of threads. One that only grows is a leak.",
		queries: []query{{promql(`sum by (groupname, instance) (namedprocess_namegroup_num_threads{G})`), "{{groupname}} {{instance}}"}}})
}

func (d *Dashboard) groupMembers() {
	d.row("Top processes")
	d.graph(look{title: "CPU of single processes", unit: "percentunit", width: 12, description: "Only for rules with top: the members that used most CPU between two scrapes. 100 % is one core.",
		queries: []query{{promql(`topk(10, namedprocess_process_cpu_usage_ratio{G})`), "{{comm}} {{pid}} {{instance}}"}}})
	d.graph(look{title: "Memory of single processes", unit: "bytes", width: 12, description: "Only for rules with top: the members with most resident memory.",
		queries: []query{{promql(`topk(10, namedprocess_process_resident_memory_bytes{G})`), "{{comm}} {{pid}} {{instance}}"}}})
}
