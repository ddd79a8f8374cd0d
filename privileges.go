package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/platform/sandbox"
)

// A datum is something about processes of other users that takes capabilities.
type datum struct {
	name  string
	takes []sandbox.Capability // all of them
}

// everyCapability are all that a datum takes.
var everyCapability = []sandbox.Capability{sandbox.DACReadSearch, sandbox.SysPtrace, sandbox.Perfmon, sandbox.BPF}

// protectedData returns what the settings and the rules want, and which
// capabilities a source of this kind takes for it. The user's number says
// nothing: root in a container has few capabilities, and a service with a user
// of its own may have all.
func protectedData(kind platform.Kind, s *settings, words platform.IdentityFields, memory sandbox.Capability) (data []datum) {
	if kind == platform.KindProcfs {
		data = append(data, datum{"io", []sandbox.Capability{sandbox.SysPtrace, sandbox.DACReadSearch}})
	}
	if s.smaps {
		data = append(data, datum{"proportional_memory", []sandbox.Capability{memory}})
	}
	if s.threads {
		data = append(data, datum{"wait_channels", []sandbox.Capability{sandbox.SysPtrace}})
	}
	if words&platform.IdentityExe != 0 {
		data = append(data, datum{"executable_paths", []sandbox.Capability{sandbox.SysPtrace}})
	}
	return data
}

// memoryCapability returns the capability that proportional memory takes.
// CAP_PERFMON, which can change nothing, does on new kernels.
func memoryCapability() sandbox.Capability {
	if platform.SmapsNeedsPtrace() {
		return sandbox.SysPtrace
	}
	return sandbox.Perfmon
}

// missing returns what cannot be had with some capabilities, as pairs of a
// capability and the data that lack it.
func missing(data []datum, held []sandbox.Capability) (pairs [][2]string) {
	for _, d := range data {
		for _, c := range d.takes {
			if !slices.Contains(held, c) && (c != sandbox.Perfmon || !slices.Contains(held, sandbox.SysPtrace)) {
				pairs = append(pairs, [2]string{c.String(), d.name})
			}
		}
	}
	return pairs
}

// describeMissing writes what is missing into one line.
func describeMissing(pairs [][2]string) string {
	var order []string
	data := make(map[string][]string)
	for _, p := range pairs {
		if data[p[0]] == nil {
			order = append(order, p[0])
		}
		data[p[0]] = append(data[p[0]], p[1])
	}
	for i, c := range order {
		order[i] = c + " (" + strings.Join(data[c], ", ") + ")"
	}
	return strings.Join(order, ", ")
}

// privilegeMetrics say what the exporter may do.
type privilegeMetrics struct {
	missing *prometheus.GaugeVec
	layers  *prometheus.GaugeVec
}

func newPrivilegeMetrics() privilegeMetrics {
	return privilegeMetrics{
		missing: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "namedprocess_exporter_capability_missing",
			Help: "1 for each missing capability and the data of other users' processes that require it.",
		}, []string{"capability", "data"}),
		layers: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "namedprocess_exporter_sandbox",
			Help: "Whether a layer of the sandbox is active (1) or not (0).",
		}, []string{"layer"}),
	}
}

func (m privilegeMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.missing, m.layers}
}

// sandboxOptions returns what the exporter needs while it serves. Landlock keeps
// the files of other processes that tracing rights guard from everybody, so that
// it is for those who read none of them.
func (e *exporter) sandboxOptions(kind platform.Kind, data []datum) sandbox.Options {
	o := sandbox.Options{Readable: e.readable()}
	for _, d := range data {
		for _, c := range d.takes {
			if e.settings.sandbox == "strict" && c != sandbox.Perfmon || slices.Contains(o.Keep, c) {
				continue
			}
			o.Keep = append(o.Keep, c)
		}
	}
	if kind == platform.KindBPF && platform.BPFUseNeedsCapability() {
		o.Keep = append(o.Keep, sandbox.BPF)
	}
	tracing := slices.Contains(sandbox.Held(o.Keep...), sandbox.SysPtrace)
	if tracing { // it includes the other
		o.Keep = slices.DeleteFunc(o.Keep, func(c sandbox.Capability) bool { return c == sandbox.Perfmon })
	}
	o.Landlock = e.settings.sandbox == "strict" || kind == platform.KindBPF && !tracing
	return o
}

// files returns those that a reload reads.
func (e *exporter) files() (paths []string) {
	if e.settings.configPath != "" {
		paths = append(paths, e.settings.configPath)
	}
	return append(paths, e.web.Files()...)
}

// readable returns the directories that the exporter reads while it serves:
// those of its files where they are and where links lead to, so that a file may
// be replaced; those of users' names and of the kernel.
func (e *exporter) readable() []string {
	dirs := []string{e.settings.procfs, "/proc", "/sys", "/etc"}
	for _, path := range e.files() {
		dirs = append(dirs, filepath.Dir(path))
		if resolved, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(resolved))
		}
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// confine gives up all rights that serving does not take. It comes when all is
// open that takes one, and before the first process is read: a thread that waits
// for a process cannot be changed.
func (e *exporter) confine() {
	kind, _ := e.tracker.Kind()
	data := protectedData(kind, e.settings, e.rules.matcher.Needs(), memoryCapability())
	for _, layer := range sandbox.Layers() {
		e.privileges.layers.WithLabelValues(layer).Set(0)
	}
	if e.settings.sandbox != "off" {
		e.enterSandbox(e.sandboxOptions(kind, data))
	}
	e.testAgain(kind, e.rules.matcher.Needs())
}

func (e *exporter) enterSandbox(o sandbox.Options) {
	report := sandbox.Enter(o)
	for _, layer := range report.Layers {
		e.privileges.layers.WithLabelValues(layer).Set(1)
	}
	held := make([]string, len(report.Held))
	for i, c := range report.Held {
		held[i] = c.String()
	}
	args := []any{"layers", strings.Join(report.Layers, ","), "capabilities", strings.Join(held, ",")}
	for _, err := range report.Missing {
		args = append(args, "lacks", err)
	}
	e.log.Info("Sandbox entered", args...)
	e.checkFiles()
}

// checkFiles warns of files that only rights of the start could read.
func (e *exporter) checkFiles() {
	for _, path := range e.files() {
		file, err := os.Open(path)
		if err != nil {
			e.log.Warn("A reload will fail: the file cannot be read again from inside the sandbox; let the exporter's user read it, or use --sandbox=off", "file", path, "err", err)
			continue
		}
		_ = file.Close() // nothing was written
	}
}
