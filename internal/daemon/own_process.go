package daemon

import (
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/seed57308aee/process_exporter/platform/process"
)

// An ownProcess exports the process_* metrics of this process, with the names and
// help of the client library. The library's collector also reads /proc/stat and
// the network counters of the host, which costs a tenth of a scrape with BPF.
type ownProcess struct {
	process *process.Process
	rows    []ownRow
}

// An ownRow is one metric and the function that reads its value.
type ownRow struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*process.Process) (float64, error)
}

// newOwnProcess returns the collector of this process. On systems without an
// implementation it is the one of the client library.
func newOwnProcess() prometheus.Collector {
	p, err := process.Open(os.Getpid())
	if err != nil {
		return collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})
	}
	return &ownProcess{process: p, rows: ownRows()}
}

func ownRows() []ownRow {
	gauge := func(name, help string, value func(*process.Process) (float64, error)) ownRow {
		return ownRow{prometheus.NewDesc("process_"+name, help, nil, nil), prometheus.GaugeValue, value}
	}
	return []ownRow{
		{
			prometheus.NewDesc("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", nil, nil),
			prometheus.CounterValue, cpuSeconds,
		},
		gauge("open_fds", "Number of open file descriptors.", openFDs),
		gauge("max_fds", "Maximum number of open file descriptors.", softLimit(process.ResourceNoFile)),
		gauge("virtual_memory_bytes", "Virtual memory size in bytes.", virtualBytes),
		gauge("virtual_memory_max_bytes", "Maximum amount of virtual memory available in bytes.", softLimit(process.ResourceAS)),
		gauge("resident_memory_bytes", "Resident memory size in bytes.", residentBytes),
		gauge("start_time_seconds", "Start time of the process since unix epoch in seconds.", startTime),
	}
}

func cpuSeconds(p *process.Process) (float64, error) {
	t, err := p.CPUTimes()
	return (t.User + t.System).Seconds(), err
}

func openFDs(p *process.Process) (float64, error) {
	n, err := p.NumFDs()
	return float64(n), err
}

func virtualBytes(p *process.Process) (float64, error) {
	m, err := p.MemoryInfo()
	return float64(m.VMS), err
}

func residentBytes(p *process.Process) (float64, error) {
	m, err := p.MemoryInfo()
	return float64(m.RSS), err
}

func startTime(p *process.Process) (float64, error) {
	t, err := p.CreateTime()
	return float64(t.UnixMilli()) / 1e3, err
}

// softLimit returns the function that reads the soft limit of a resource.
func softLimit(r process.Resource) func(*process.Process) (float64, error) {
	return func(p *process.Process) (float64, error) {
		l, err := p.Rlimit(r)
		return float64(l.Soft), err
	}
}

// Describe implements [prometheus.Collector].
func (o *ownProcess) Describe(ch chan<- *prometheus.Desc) {
	for _, r := range o.rows {
		ch <- r.desc
	}
}

// Collect implements [prometheus.Collector]. It omits values that cannot be read.
func (o *ownProcess) Collect(ch chan<- prometheus.Metric) {
	view := o.process.Oneshot()
	for _, r := range o.rows {
		if value, err := r.value(view); err == nil {
			ch <- prometheus.MustNewConstMetric(r.desc, r.kind, value)
		}
	}
}
