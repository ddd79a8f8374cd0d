package grafana

// Group returns the dashboard of the selected groups.
func Group() Dashboard {
	d := newDashboard("process-exporter-group", "Process exporter / Group",
		"All metrics of one process group. Select several to compare them.")
	d.groupOverview()
	d.groupCPU()
	d.groupMemory()
	d.groupStorage()
	d.groupProcesses()
	d.groupThreads()
	d.groupTopProcesses()
	d.network()
	return d
}

func (d *Dashboard) groupOverview() {
	d.row("Overview")
	d.stat(panelSpec{
		title: "Processes", unit: "short",
		description: "Processes of the group.",
		queries:     []query{{promql(`sum(namedprocess_namegroup_num_procs{G})`), "processes"}},
	}, -1)
	d.stat(panelSpec{
		title: "CPU cores", unit: "short",
		description: "CPU cores used.",
		queries:     []query{{promql(`sum(rate(namedprocess_namegroup_cpu_seconds_total{G}[R]))`), "cores"}},
	}, -1)
	d.stat(panelSpec{
		title: "Memory", unit: "bytes",
		description: "Resident memory. Shared pages count once for each process.",
		queries:     []query{{promql(`sum(namedprocess_namegroup_memory_bytes{G,memtype="resident"})`), "resident"}},
	}, -1)
	d.stat(panelSpec{
		title: "File descriptors", unit: "percentunit",
		description: "Highest ratio of open file descriptors to the limit of one process.",
		queries:     []query{{promql(`max(namedprocess_namegroup_worst_fd_ratio{G})`), "of limit"}},
	}, 0.8)
	d.stat(panelSpec{
		title: "Oldest process", unit: "s",
		description: "Time since the oldest process started.",
		queries:     []query{{promql(`time() - min(namedprocess_namegroup_oldest_start_time_seconds{G})`), "age"}},
	}, -1)
	d.stat(panelSpec{
		title: "Failed in the last hour", unit: "short",
		description: "Exits with a status other than 0 or by a signal, without children that joined the group. Only with the source bpf.",
		queries:     []query{{promql(`sum(increase(namedprocess_namegroup_matched_exits_total{G,code!="0"}[1h])) or vector(0)`), "failed"}},
	}, 1)
}

func (d *Dashboard) groupCPU() {
	d.row("CPU")
	d.stack(panelSpec{
		title: "CPU cores", unit: "short",
		description: "CPU cores used in user mode and in the kernel.",
		queries: []query{{
			promql(`sum by (groupname, mode) (rate(namedprocess_namegroup_cpu_seconds_total{G}[R]))`),
			"{{groupname}} {{mode}}",
		}},
	})
	d.graph(panelSpec{
		title: "Waiting for a CPU", unit: "short",
		description: "Average number of threads that wait for a CPU, because of load or a CPU quota. Only with the source bpf.",
		queries:     []query{{promql(`sum by (groupname) (rate(namedprocess_namegroup_cpu_wait_seconds_total{G}[R]))`), "{{groupname}}"}},
	})
	d.graph(panelSpec{
		title: "Context switches", unit: "ops",
		description: "Voluntary: the thread waits. Nonvoluntary: the scheduler preempted it.",
		queries: []query{{
			promql(`sum by (groupname, ctxswitchtype) (rate(namedprocess_namegroup_context_switches_total{G}[R]))`),
			"{{groupname}} {{ctxswitchtype}}",
		}},
	})
}

func (d *Dashboard) groupMemory() {
	d.row("Memory")
	d.graph(panelSpec{
		title: "Memory", unit: "bytes",
		description: "Resident counts shared pages for each process, proportional (PSS) divides them, unique (USS) omits them.",
		queries: []query{{
			promql(`sum by (groupname, memtype) (namedprocess_namegroup_memory_bytes{G,memtype!="virtual"})`),
			"{{groupname}} {{memtype}}",
		}},
	})
	d.graph(panelSpec{
		title: "Memory per process", unit: "bytes",
		description: "Resident memory divided by the number of processes, for each host.",
		queries: []query{{
			promql(`namedprocess_namegroup_memory_bytes{G,memtype="resident"} / ignoring (memtype) (namedprocess_namegroup_num_procs{G} > 0` +
				`)`),
			"{{groupname}} {{instance}}",
		}},
	})
	d.graph(panelSpec{
		title: "Page faults", unit: "ops",
		description: "Major faults wait for storage, minor faults do not.",
		queries: []query{
			{promql(`sum by (groupname) (rate(namedprocess_namegroup_major_page_faults_total{G}[R]))`), "{{groupname}} major"},
			{promql(`sum by (groupname) (rate(namedprocess_namegroup_minor_page_faults_total{G}[R]))`), "{{groupname}} minor"},
		},
	})
}

func (d *Dashboard) groupStorage() {
	d.row("Storage and files")
	d.graph(panelSpec{
		title: "Storage I/O", unit: "Bps",
		description: "Bytes fetched from and sent to storage. Does not include reads from the page cache.",
		queries: []query{
			{promql(`sum by (groupname) (rate(namedprocess_namegroup_read_bytes_total{G}[R]))`), "{{groupname}} read"},
			{promql(`sum by (groupname) (rate(namedprocess_namegroup_write_bytes_total{G}[R]))`), "{{groupname}} written"},
		},
	})
	d.graph(panelSpec{
		title: "Waiting for block devices", unit: "short",
		description: "Average number of threads that wait for a block device. Only with the source bpf and kernel delay accounting.",
		queries: []query{{
			promql(`sum by (groupname) (rate(namedprocess_namegroup_block_io_wait_seconds_total{G}[R]))`),
			"{{groupname}}",
		}},
	})
	d.graph(panelSpec{
		title: "Open file descriptors", unit: "short",
		description: "Open file descriptors, for each host.",
		queries: []query{{
			promql(`sum by (groupname, instance) (namedprocess_namegroup_open_filedesc{G})`),
			"{{groupname}} {{instance}}",
		}},
	})
}

func (d *Dashboard) groupProcesses() {
	d.row("Processes")
	d.graph(panelSpec{
		title: "Processes", unit: "short",
		description: "Processes on each host, and the bounds of expect.",
		queries: []query{
			{promql(`sum by (groupname, instance) (namedprocess_namegroup_num_procs{G})`), "{{groupname}} {{instance}}"},
			{promql(`max by (groupname, bound) (namedprocess_namegroup_expected_procs{G})`), "{{groupname}} {{bound}}"},
		},
	})
	d.stack(panelSpec{
		title: "Starts and group changes", unit: "ops",
		description: "Processes that started (only with the source bpf), and processes that moved into the group.",
		queries: []query{
			{promql(`sum by (groupname) (rate(namedprocess_namegroup_starts_total{G}[R]))`), "{{groupname}} started"},
			{promql(`sum by (groupname) (rate(namedprocess_namegroup_group_changes_total{G}[R]))`), "{{groupname}} moved"},
		},
	})
	d.stack(panelSpec{
		title: "Exits", unit: "short",
		description: "Exits in the last ten minutes, by exit status or signal. Only with the source bpf.",
		queries: []query{{
			promql(`sum by (groupname, reason, code) (increase(namedprocess_namegroup_exits_total{G}[10m]))`),
			"{{groupname}} {{reason}} {{code}}",
		}},
	})
}

func (d *Dashboard) groupThreads() {
	d.row("Threads")
	d.graph(panelSpec{
		title: "Threads by state", unit: "short",
		description: "Threads by state. Running includes threads that wait for a CPU; Waiting is uninterruptible sleep.",
		queries:     []query{{promql(`sum by (groupname, state) (namedprocess_namegroup_states{G})`), "{{groupname}} {{state}}"}},
	})
	d.stack(panelSpec{
		title: "CPU cores by thread name", unit: "short",
		description: "CPU cores used by thread name; the top ten names. Only processes with at least two threads.",
		queries: []query{{
			promql(`topk(10, sum by (groupname, threadname) (rate(namedprocess_namegroup_thread_cpu_seconds_total{G}[R])))`),
			"{{groupname}} {{threadname}}",
		}},
	})
	d.stack(panelSpec{
		title: "Storage I/O by thread name", unit: "Bps",
		description: "Bytes read from and written to storage by thread name; the top ten names.",
		queries: []query{{
			promql(`topk(10, sum by (groupname, threadname, iomode) (rate(namedprocess_namegroup_thread_io_bytes_total{G}[R])))`),
			"{{groupname}} {{threadname}} {{iomode}}",
		}},
	})
	d.stack(panelSpec{
		title: "Threads by name", unit: "short",
		description: "Number of threads by name; the top ten names.",
		queries: []query{{
			promql(`topk(10, sum by (groupname, threadname) (namedprocess_namegroup_thread_count{G}))`),
			"{{groupname}} {{threadname}}",
		}},
	})
	d.stack(panelSpec{
		title: "Wait channels", unit: "short",
		description: "Sleeping threads by kernel function.",
		queries: []query{{
			promql(`topk(10, sum by (groupname, wchan) (namedprocess_namegroup_threads_wchan{G}))`),
			"{{groupname}} {{wchan}}",
		}},
	})
	d.graph(panelSpec{
		title: "Threads on each host", unit: "short",
		description: "Number of threads. A number that only grows is a leak.",
		queries: []query{{
			promql(`sum by (groupname, instance) (namedprocess_namegroup_num_threads{G})`),
			"{{groupname}} {{instance}}",
		}},
	})
}

func (d *Dashboard) groupTopProcesses() {
	d.row("Top processes")
	d.graph(panelSpec{
		title: "CPU of top processes", unit: "percentunit", width: 12,
		description: "Processes that used the most CPU between two scrapes. Only for rules with top. 100 % is one core.",
		queries:     []query{{promql(`topk(10, namedprocess_process_cpu_usage_ratio{G})`), "{{comm}} {{pid}} {{instance}}"}},
	})
	d.graph(panelSpec{
		title: "Memory of top processes", unit: "bytes", width: 12,
		description: "Processes with the most resident memory. Only for rules with top.",
		queries:     []query{{promql(`topk(10, namedprocess_process_resident_memory_bytes{G})`), "{{comm}} {{pid}} {{instance}}"}},
	})
}
