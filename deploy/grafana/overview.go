package grafana

// Overview goes from the fleet over the host to the group and its threads.
func Overview() Dashboard {
	d := newDashboard("process-exporter-overview", "Process exporter / Overview",
		"What groups of processes use, from the fleet down to threads, and how the exporter itself is.")
	d.overviewFleet()
	d.overviewGroups()
	d.overviewEnds()
	d.overviewLimits()
	d.overviewThreads()
	d.overviewHealth()
	return d
}

func (d *Dashboard) overviewFleet() {
	d.row("Fleet and hosts")
	d.number(look{title: "Hosts", unit: "short", description: "Exporters that answered the last scrape.",
		queries: []query{{promql(`sum(up{I})`), "hosts"}}}, -1)
	d.number(look{title: "Hosts down", unit: "short", description: "Exporters that did not answer the last scrape.",
		queries: []query{{promql(`count(up{I}) - sum(up{I})`), "down"}}}, 1)
	d.number(look{title: "Processes", unit: "short", description: "Processes in groups.",
		queries: []query{{promql(`sum(namedprocess_namegroup_num_procs{G})`), "processes"}}}, -1)
	d.number(look{title: "CPU", unit: "short", description: "Cores that groups keep busy.",
		queries: []query{{promql(`sum(rate(namedprocess_namegroup_cpu_seconds_total{G}[R]))`), "cores"}}}, -1)
	d.number(look{title: "Memory", unit: "bytes", description: "Resident memory, with pages that processes share counted once for each.",
		queries: []query{{promql(`sum(namedprocess_namegroup_memory_bytes{G,memtype="resident"})`), "resident"}}}, -1)
	d.number(look{title: "Killed for lack of memory", unit: "short", description: "Processes that the kernel killed for lack of memory in the last hour. Only with the source bpf.",
		queries: []query{{promql(`sum(increase(namedprocess_namegroup_oom_kills_total{G}[1h]))`), "kills"}}}, 1)

	d.graph(look{title: "CPU by host", unit: "short", description: "Cores that the groups of a host keep busy; the ten busiest hosts.",
		queries: []query{{promql(`topk(10, sum by (instance) (rate(namedprocess_namegroup_cpu_seconds_total{G}[R])))`), "{{instance}}"}}})
	d.graph(look{title: "Memory by host", unit: "bytes", description: "Resident memory of the groups of a host; the ten with the most.",
		queries: []query{{promql(`topk(10, sum by (instance) (namedprocess_namegroup_memory_bytes{G,memtype="resident"}))`), "{{instance}}"}}})
	d.graph(look{title: "CPU that no rule covers", unit: "percentunit", description: "The part of all CPU time that processes in no group use. Where it is high, the rules miss something.",
		queries: []query{{promql(`rate(namedprocess_unmatched_cpu_seconds_total{I}[R]) / on (job, instance) (rate(namedprocess_unmatched_cpu_seconds_total{I}[R]) + on (job, instance) sum by (job, instance) (rate(namedprocess_namegroup_cpu_seconds_total{I}[R])))`), "{{instance}}"}}})
	d.table(look{title: "Hosts", unit: "short", width: 24, height: 6, description: "What the groups of each host use now."},
		column{promql(`sum by (instance) (rate(namedprocess_namegroup_cpu_seconds_total{G}[R]))`), "CPU cores", "short"},
		column{promql(`sum by (instance) (namedprocess_namegroup_memory_bytes{G,memtype="resident"})`), "Resident memory", "bytes"},
		column{promql(`sum by (instance) (namedprocess_namegroup_num_procs{G})`), "Processes", "short"},
		column{promql(`sum by (instance) (namedprocess_namegroup_num_threads{G})`), "Threads", "short"},
		column{promql(`sum by (instance) (namedprocess_unmatched_procs{I})`), "In no group", "short"},
		column{promql(`sum by (instance) (namedprocess_exporter_groups{I})`), "Groups", "short"})
}

func (d *Dashboard) overviewGroups() {
	d.row("Groups")
	d.stack(look{title: "Top groups by CPU", unit: "short", description: "Cores kept busy, by the ten groups that use most.",
		queries: []query{{promql(`topk(10, sum by (groupname) (rate(namedprocess_namegroup_cpu_seconds_total{G}[R])))`), "{{groupname}}"}}})
	d.stack(look{title: "Top groups by memory", unit: "bytes", description: "Proportional memory (PSS): what processes share is divided by its users, so that the sum is what is really in use. Where it cannot be read the graph is empty.",
		queries: []query{{promql(`topk(10, sum by (groupname) (namedprocess_namegroup_memory_bytes{G,memtype="proportionalResident"}))`), "{{groupname}}"}}})
	d.stack(look{title: "Top groups by storage I/O", unit: "Bps", description: "Bytes fetched from and sent to storage, by the ten groups that move most.",
		queries: []query{{promql(`topk(10, sum by (groupname) (rate(namedprocess_namegroup_read_bytes_total{G}[R]) + rate(namedprocess_namegroup_write_bytes_total{G}[R])))`), "{{groupname}}"}}})
	d.table(look{title: "Groups", unit: "short", width: 24, height: 9, description: "What each group uses now, summed over the chosen hosts."},
		column{promql(`sum by (groupname) (rate(namedprocess_namegroup_cpu_seconds_total{G}[R]))`), "CPU cores", "short"},
		column{promql(`sum by (groupname) (namedprocess_namegroup_memory_bytes{G,memtype="resident"})`), "Resident memory", "bytes"},
		column{promql(`sum by (groupname) (namedprocess_namegroup_num_procs{G})`), "Processes", "short"},
		column{promql(`sum by (groupname) (namedprocess_namegroup_num_threads{G})`), "Threads", "short"},
		column{promql(`sum by (groupname) (namedprocess_namegroup_open_filedesc{G})`), "Open files", "short"},
		column{promql(`sum by (groupname) (rate(namedprocess_namegroup_read_bytes_total{G}[R]))`), "Read", "Bps"},
		column{promql(`sum by (groupname) (rate(namedprocess_namegroup_write_bytes_total{G}[R]))`), "Written", "Bps"},
		column{promql(`time() - min by (groupname) (namedprocess_namegroup_oldest_start_time_seconds{G})`), "Oldest process", "s"})
}

func (d *Dashboard) overviewEnds() {
	d.row("Starts and ends")
	d.stack(look{title: "Processes started", unit: "ops", description: "Processes that joined a group, by the ten groups that start most. Only with the source bpf.",
		queries: []query{{promql(`topk(10, sum by (groupname) (rate(namedprocess_namegroup_starts_total{G}[R])))`), "{{groupname}}"}}})
	d.stack(look{title: "Processes that failed", unit: "short", description: "Ends with a status other than 0 or by a signal in the last ten minutes, by group. Only with the source bpf.",
		queries: []query{{promql(`topk(10, sum by (groupname, reason, code) (increase(namedprocess_namegroup_exits_total{G,code!="0"}[10m])))`), "{{groupname}} {{reason}} {{code}}"}}})
	d.graph(look{title: "Restarts", unit: "short", description: "How often in the last ten minutes the oldest process of a group was another one. It tells of restarts with any source.",
		queries: []query{{promql(`topk(10, changes(namedprocess_namegroup_oldest_start_time_seconds{G}[10m]))`), "{{groupname}} {{instance}}"}}})
}

func (d *Dashboard) overviewLimits() {
	d.row("Limits")
	d.graph(look{title: "File descriptors", unit: "percentunit", description: "Open file descriptors by their limit, of the process that comes closest to it; the ten worst groups. At 100 % a process fails to open files.",
		queries: []query{{promql(`topk(10, max by (groupname, instance) (namedprocess_namegroup_worst_fd_ratio{G}))`), "{{groupname}} {{instance}}"}}})
	d.graph(look{title: "Stuck and dead threads", unit: "short", description: "Threads in uninterruptible sleep, most likely waiting for storage, and zombies, whose parent does not wait for them.",
		queries: []query{{promql(`sum by (state) (namedprocess_namegroup_states{G,state=~"Waiting|Zombie"})`), "{{state}}"}}})
	d.table(look{title: "Expected processes", unit: "short", width: 8, height: 8, description: "Groups whose rule says how many processes they should have."},
		column{promql(`namedprocess_namegroup_num_procs{G} and namedprocess_namegroup_expected_min_procs{G}`), "Processes", "short"},
		column{promql(`namedprocess_namegroup_expected_min_procs{G}`), "At least", "short"},
		column{promql(`namedprocess_namegroup_expected_max_procs{G}`), "At most", "short"})
}

func (d *Dashboard) overviewThreads() {
	d.row("Threads")
	d.graph(look{title: "Threads by state", unit: "short", description: "What threads do. Running ones want a CPU.",
		queries: []query{{promql(`sum by (state) (namedprocess_namegroup_states{G})`), "{{state}}"}}})
	d.stack(look{title: "Top threads by CPU", unit: "short", description: "Cores kept busy by threads of one name, of processes with at least two; the ten busiest names.",
		queries: []query{{promql(`topk(10, sum by (groupname, threadname) (rate(namedprocess_namegroup_thread_cpu_seconds_total{G}[R])))`), "{{groupname}} {{threadname}}"}}})
	d.graph(look{title: "Top groups by threads", unit: "short", description: "Threads, by the ten groups that have most.",
		queries: []query{{promql(`topk(10, sum by (groupname) (namedprocess_namegroup_num_threads{G}))`), "{{groupname}}"}}})
}

func (d *Dashboard) overviewHealth() {
	d.row("Exporter")
	d.graph(look{title: "Duration of scrapes", unit: "s", description: "How long a scrape took for Prometheus, and for the walk over the processes alone.",
		queries: []query{{promql(`max by (instance) (scrape_duration_seconds{I})`), "{{instance}} scrape"},
			{promql(`max by (instance) (namedprocess_exporter_scrape_duration_seconds{I})`), "{{instance}} walk"}}})
	d.graph(look{title: "CPU of the exporter", unit: "percentunit", description: "The exporter's own CPU time, 100 % is one core.",
		queries: []query{{promql(`sum by (instance) (rate(process_cpu_seconds_total{I}[R]))`), "{{instance}}"}}})
	d.graph(look{title: "Memory of the exporter", unit: "bytes", description: "The exporter's own resident memory.",
		queries: []query{{promql(`sum by (instance) (process_resident_memory_bytes{I})`), "{{instance}}"}}})
	d.graph(look{title: "Series", unit: "short", description: "Samples in a scrape: what a host costs Prometheus.",
		queries: []query{{promql(`max by (instance) (scrape_samples_scraped{I})`), "{{instance}}"}}})
	d.graph(look{title: "Incomplete", unit: "short", description: "What the exporter could not see: processes that block, processes without a name, files it may not read, scrapes cut short.",
		queries: []query{
			{promql(`sum by (instance) (namedprocess_exporter_unresponsive_processes{I})`), "{{instance}} blocked"},
			{promql(`sum by (instance) (namedprocess_exporter_unidentified_processes{I})`), "{{instance}} unidentified"},
			{promql(`sum by (instance, file) (namedprocess_namegroup_unreadable_procs{G})`), "{{instance}} unreadable {{file}}"},
			{promql(`1 - min by (instance) (namedprocess_exporter_scrape_success{I})`), "{{instance}} cut short"},
		}})
	d.graph(look{title: "Errors", unit: "short", description: "Errors of the last ten minutes: scrapes without any process, ends that the kernel could not tell of, names beyond the limit.",
		queries: []query{
			{promql(`sum by (instance) (increase(namedprocess_scrape_errors{I}[10m]))`), "{{instance}} scrapes"},
			{promql(`sum by (instance) (increase(namedprocess_exporter_lost_exit_events_total{I}[10m]))`), "{{instance}} lost events"},
			{promql(`sum by (instance) (increase(namedprocess_exporter_group_limit_hits_total{I}[10m]))`), "{{instance}} groups beyond limit"},
			{promql(`1 - min by (instance) (namedprocess_exporter_config_last_reload_successful{I})`), "{{instance}} configuration refused"},
		}})
}
