package collector

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
)

// threadFamilies returns the families with one series per thread name.
func threadFamilies() []family {
	perName := func(name string, kind prometheus.ValueType, help string, collect func(*grouping.ThreadTotals, emit), labels ...string) family {
		return family{
			name: namespace + name, kind: kind, labels: append([]string{"threadname"}, labels...), help: help, threadName: true,
			collector: grouping.CollectorThreads,
			collect: func(g *grouping.Group, put emit) {
				for i := range g.Threads {
					collect(&g.Threads[i], put)
				}
			},
		}
	}
	return []family{
		perName("thread_count", gauge, "Number of threads with this name in multithreaded processes (/proc/PID/task).",
			func(t *grouping.ThreadTotals, put emit) { put(float64(t.Count), labelValues{t.Name}, 0) }),
		perName("thread_cpu_seconds_total", counter,
			"CPU time in seconds of threads with this name in multithreaded processes (/proc/PID/task/TID/stat).",
			func(t *grouping.ThreadTotals, put emit) {
				put(seconds(t.UserNanos), labelValues{t.Name, "user"}, t.CountersStart)
				put(seconds(t.SystemNanos), labelValues{t.Name, "system"}, t.CountersStart)
			}, "mode"),
		perName("thread_io_bytes_total", counter,
			"Bytes read from and written to storage by threads with this name in multithreaded processes (/proc/PID/task/TID/io).",
			func(t *grouping.ThreadTotals, put emit) {
				if t.CounterFields&platform.FieldIO != 0 {
					put(float64(t.ReadBytes), labelValues{t.Name, "read"}, t.CountersStart)
					put(float64(t.WriteBytes), labelValues{t.Name, "write"}, t.CountersStart)
				}
			}, "iomode"),
		perName("thread_major_page_faults_total", counter,
			"Major page faults of threads with this name in multithreaded processes (/proc/PID/task/TID/stat).",
			func(t *grouping.ThreadTotals, put emit) {
				put(float64(t.MajorFaults), labelValues{t.Name}, t.CountersStart)
			}),
		perName("thread_minor_page_faults_total", counter,
			"Minor page faults of threads with this name in multithreaded processes (/proc/PID/task/TID/stat).",
			func(t *grouping.ThreadTotals, put emit) {
				put(float64(t.MinorFaults), labelValues{t.Name}, t.CountersStart)
			}),
		perName("thread_context_switches_total", counter,
			"Context switches of threads with this name in multithreaded processes (/proc/PID/task/TID/status).",
			func(t *grouping.ThreadTotals, put emit) {
				put(float64(t.VoluntarySwitches), labelValues{t.Name, "voluntary"}, t.CountersStart)
				put(float64(t.NonvoluntarySwitches), labelValues{t.Name, "nonvoluntary"}, t.CountersStart)
			}, "ctxswitchtype"),
	}
}
