package grafana

// Overview returns the dashboard of all hosts, groups and threads.
func Overview() Dashboard {
	d := newDashboard("process-exporter-overview", "Process exporter / Overview",
		"Resource usage of process groups, from all hosts down to threads, and the state of the exporter.")
	d.overviewFleet()
	d.overviewGroups()
	d.overviewExits()
	d.overviewLimits()
	d.overviewThreads()
	d.network()
	d.overviewHealth()
	return d
}

func (d *Dashboard) overviewFleet() {
	d.row("All hosts")
	d.stat(panelSpec{
		title: "Hosts", unit: "short",
		description: "Exporters whose last scrape succeeded.",
		queries:     []query{{promql(`sum(up{I})`), "hosts"}},
	}, -1)
	d.stat(panelSpec{
		title: "Hosts down", unit: "short",
		description: "Exporters whose last scrape failed.",
		queries:     []query{{promql(`count(up{I}) - sum(up{I})`), "down"}},
	}, 1)
	d.stat(panelSpec{
		title: "Processes", unit: "short",
		description: "Processes in groups.",
		queries:     []query{{promql(`sum(namedprocess_namegroup_num_procs{G})`), "processes"}},
	}, -1)
	d.stat(panelSpec{
		title: "CPU cores", unit: "short",
		description: "CPU cores used by all groups.",
		queries:     []query{{promql(`sum(rate(namedprocess_namegroup_cpu_seconds_total{G}[R]))`), "cores"}},
	}, -1)
	d.stat(panelSpec{
		title: "Memory", unit: "bytes",
		description: "Resident memory. Shared pages count once for each process.",
		queries:     []query{{promql(`sum(namedprocess_namegroup_memory_bytes{G,memtype="resident"})`), "resident"}},
	}, -1)
	d.stat(panelSpec{
		title: "OOM kills", unit: "short",
		description: "Processes killed by the OOM killer in the last hour. Only with the source bpf.",
		queries:     []query{{promql(`sum(increase(namedprocess_namegroup_oom_kills_total{G}[1h]))`), "kills"}},
	}, 1)

	d.overviewHosts()
}

func (d *Dashboard) overviewHosts() {
	d.graph(panelSpec{
		title: "CPU cores by host", unit: "short",
		description: "CPU cores used by the groups of a host; the top ten hosts.",
		queries: []query{{
			promql(`topk(10, sum by (instance) (rate(namedprocess_namegroup_cpu_seconds_total{G}[R])))`),
			"{{instance}}",
		}},
	})
	d.graph(panelSpec{
		title: "Memory by host", unit: "bytes",
		description: "Resident memory of the groups of a host; the top ten hosts.",
		queries: []query{{
			promql(`topk(10, sum by (instance) (namedprocess_namegroup_memory_bytes{G,memtype="resident"}))`),
			"{{instance}}",
		}},
	})
	d.graph(panelSpec{
		title: "CPU of unmatched processes", unit: "percentunit",
		description: "Share of the CPU time used by processes in no group. A high value means that rules are missing.",
		queries: []query{{
			promql(`rate(namedprocess_unmatched_cpu_seconds_total{I}[R])` +
				` / on (job, instance) (rate(namedprocess_unmatched_cpu_seconds_total{I}[R]) + on (job, instance)` +
				` sum by (job, instance) (rate(namedprocess_namegroup_cpu_seconds_total{I}[R])))`),
			"{{instance}}",
		}},
	})
	d.table(panelSpec{
		title: "Hosts", unit: "short", width: 24, height: 6,
		description: "Current usage of the groups of each host.",
	},
		column{promql(`sum by (instance) (rate(namedprocess_namegroup_cpu_seconds_total{G}[R]))`), "CPU cores", "short"},
		column{promql(`sum by (instance) (namedprocess_namegroup_memory_bytes{G,memtype="resident"})`), "Resident memory", "bytes"},
		column{promql(`sum by (instance) (namedprocess_namegroup_num_procs{G})`), "Processes", "short"},
		column{promql(`sum by (instance) (namedprocess_namegroup_num_threads{G})`), "Threads", "short"},
		column{promql(`sum by (instance) (namedprocess_unmatched_procs{I})`), "In no group", "short"},
		column{promql(`sum by (instance) (namedprocess_exporter_groups{I})`), "Groups", "short"})
}

func (d *Dashboard) overviewGroups() {
	d.row("Groups")
	d.stack(panelSpec{
		title: "Top groups by CPU cores", unit: "short",
		description: "CPU cores used; the top ten groups.",
		queries: []query{{
			promql(`topk(10, sum by (groupname) (rate(namedprocess_namegroup_cpu_seconds_total{G}[R])))`),
			"{{groupname}}",
		}},
	})
	d.stack(panelSpec{
		title: "Top groups by memory", unit: "bytes",
		description: "PSS: shared pages are divided among the processes that share them, so groups add up. Empty if smaps_rollup cannot be read.",
		queries: []query{{
			promql(`topk(10, sum by (groupname) (namedprocess_namegroup_memory_bytes{G,memtype="proportionalResident"}))`),
			"{{groupname}}",
		}},
	})
	d.stack(panelSpec{
		title: "Top groups by storage I/O", unit: "Bps",
		description: "Bytes read from and written to storage; the top ten groups.",
		queries: []query{{
			promql(`topk(10, sum by (groupname) (rate(namedprocess_namegroup_read_bytes_total{G}[R])` +
				` + rate(namedprocess_namegroup_write_bytes_total{G}[R])))`),
			"{{groupname}}",
		}},
	})
	d.table(panelSpec{
		title: "Groups", unit: "short", width: 24, height: 9,
		description: "Current usage of each group, summed over the selected hosts.",
	},
		column{promql(`sum by (groupname) (rate(namedprocess_namegroup_cpu_seconds_total{G}[R]))`), "CPU cores", "short"},
		column{promql(`sum by (groupname) (namedprocess_namegroup_memory_bytes{G,memtype="resident"})`), "Resident memory", "bytes"},
		column{promql(`sum by (groupname) (namedprocess_namegroup_num_procs{G})`), "Processes", "short"},
		column{promql(`sum by (groupname) (namedprocess_namegroup_num_threads{G})`), "Threads", "short"},
		column{promql(`sum by (groupname) (namedprocess_namegroup_open_filedesc{G})`), "Open files", "short"},
		column{promql(`sum by (groupname) (rate(namedprocess_namegroup_read_bytes_total{G}[R]))`), "Read", "Bps"},
		column{promql(`sum by (groupname) (rate(namedprocess_namegroup_write_bytes_total{G}[R]))`), "Written", "Bps"},
		column{promql(`time() - min by (groupname) (namedprocess_namegroup_oldest_start_time_seconds{G})`), "Oldest process", "s"})
}

func (d *Dashboard) overviewExits() {
	d.row("Starts and exits")
	d.stack(panelSpec{
		title: "Processes started", unit: "ops",
		description: "Processes that started per second; the top ten groups. Only with the source bpf.",
		queries:     []query{{promql(`topk(10, sum by (groupname) (rate(namedprocess_namegroup_starts_total{G}[R])))`), "{{groupname}}"}},
	})
	d.stack(panelSpec{
		title: "Processes that failed", unit: "short",
		description: "Exits with a status other than 0 or by a signal in the last ten minutes, " +
			"without children that joined the group. Only with the source bpf.",
		queries: []query{{
			promql(`topk(10, sum by (groupname, reason, code) (increase(namedprocess_namegroup_matched_exits_total{G,code!="0"}[10m])))`),
			"{{groupname}} {{reason}} {{code}}",
		}},
	})
	d.graph(panelSpec{
		title: "Restarts", unit: "short",
		description: "Changes of the oldest process of a group in the last ten minutes. Works with both sources.",
		queries: []query{{
			promql(`topk(10, changes(namedprocess_namegroup_oldest_start_time_seconds{G}[10m]))`),
			"{{groupname}} {{instance}}",
		}},
	})
}

func (d *Dashboard) overviewLimits() {
	d.row("Limits")
	d.graph(panelSpec{
		title: "File descriptors", unit: "percentunit",
		description: "Highest ratio of open file descriptors to the limit of one process. At 100 % a process cannot open files.",
		queries: []query{{
			promql(`topk(10, max by (groupname, instance) (namedprocess_namegroup_worst_fd_ratio{G}))`),
			"{{groupname}} {{instance}}",
		}},
	})
	d.graph(panelSpec{
		title: "Threads in uninterruptible sleep, and zombies", unit: "short",
		description: "Threads in uninterruptible sleep usually wait for storage. The parent of a zombie has not reaped it.",
		queries:     []query{{promql(`sum by (state) (namedprocess_namegroup_states{G,state=~"Waiting|Zombie"})`), "{{state}}"}},
	})
	d.table(panelSpec{
		title: "Expected processes", unit: "short", width: 8, height: 8,
		description: "Groups whose rule has expect: processes that match the rule, without zombies.",
	},
		column{promql(`namedprocess_namegroup_matched_procs{G}`), "Processes", "short"},
		column{promql(`max without (bound) (namedprocess_namegroup_expected_procs{G,bound="min"})`), "At least", "short"},
		column{promql(`max without (bound) (namedprocess_namegroup_expected_procs{G,bound="max"})`), "At most", "short"})
}

func (d *Dashboard) overviewThreads() {
	d.row("Threads")
	d.graph(panelSpec{
		title: "Threads by state", unit: "short",
		description: "Threads by state. Running includes threads that wait for a CPU.",
		queries:     []query{{promql(`sum by (state) (namedprocess_namegroup_states{G})`), "{{state}}"}},
	})
	d.stack(panelSpec{
		title: "Top threads by CPU cores", unit: "short",
		description: "CPU cores used by thread name, in processes with at least two threads; the top ten names.",
		queries: []query{{
			promql(`topk(10, sum by (groupname, threadname) (rate(namedprocess_namegroup_thread_cpu_seconds_total{G}[R])))`),
			"{{groupname}} {{threadname}}",
		}},
	})
	d.graph(panelSpec{
		title: "Top groups by threads", unit: "short",
		description: "Number of threads; the top ten groups.",
		queries:     []query{{promql(`topk(10, sum by (groupname) (namedprocess_namegroup_num_threads{G}))`), "{{groupname}}"}},
	})
}

func (d *Dashboard) overviewHealth() {
	d.row("Exporter")
	d.graph(panelSpec{
		title: "Scrape duration", unit: "s",
		description: "Duration of the scrape as measured by Prometheus, and of the walk over all processes.",
		queries: []query{
			{promql(`max by (instance) (scrape_duration_seconds{I})`), "{{instance}} scrape"},
			{promql(`max by (instance) (namedprocess_exporter_scrape_duration_seconds{I})`), "{{instance}} walk"},
		},
	})
	d.graph(panelSpec{
		title: "CPU of the exporter", unit: "percentunit",
		description: "CPU time of the exporter; 100 % is one core.",
		queries:     []query{{promql(`sum by (instance) (rate(process_cpu_seconds_total{I}[R]))`), "{{instance}}"}},
	})
	d.graph(panelSpec{
		title: "Memory of the exporter", unit: "bytes",
		description: "Resident memory of the exporter.",
		queries:     []query{{promql(`sum by (instance) (process_resident_memory_bytes{I})`), "{{instance}}"}},
	})
	d.graph(panelSpec{
		title: "Series", unit: "short",
		description: "Samples per scrape.",
		queries:     []query{{promql(`max by (instance) (scrape_samples_scraped{I})`), "{{instance}}"}},
	})
	d.graph(panelSpec{
		title: "Missing data", unit: "short",
		description: "Unresponsive processes, unidentified processes, unreadable files and incomplete scrapes.",
		queries: []query{
			{promql(`sum by (instance) (namedprocess_exporter_unresponsive_processes{I})`), "{{instance}} unresponsive"},
			{promql(`sum by (instance) (namedprocess_exporter_unidentified_processes{I})`), "{{instance}} unidentified"},
			{promql(`sum by (instance, file) (namedprocess_namegroup_unreadable_procs{G})`), "{{instance}} unreadable {{file}}"},
			{promql(`1 - min by (instance) (namedprocess_exporter_scrape_success{I})`), "{{instance}} incomplete"},
		},
	})
	d.graph(panelSpec{
		title: "Errors", unit: "short",
		description: "Errors in the last ten minutes: failed scrapes, lost exit events, names above the limit, failed reloads.",
		queries: []query{
			{promql(`sum by (instance) (increase(namedprocess_scrape_errors{I}[10m]))`), "{{instance}} scrapes"},
			{promql(`sum by (instance) (increase(namedprocess_exporter_lost_exit_events_total{I}[10m]))`), "{{instance}} lost exit events"},
			{promql(`sum by (instance) (increase(namedprocess_exporter_group_limit_hits_total{I}[10m]))`), "{{instance}} groups above limit"},
			{promql(`1 - min by (instance) (namedprocess_exporter_config_last_reload_successful{I})`), "{{instance}} reload failed"},
		},
	})
}
