package daemon

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/platform/containers"
	"github.com/seed57308aee/process_exporter/platform/sandbox"
)

// sandboxMetrics describe the privileges of the daemon.
type sandboxMetrics struct {
	missing *prometheus.GaugeVec
	layers  *prometheus.GaugeVec
}

func newSandboxMetrics() sandboxMetrics {
	return sandboxMetrics{
		missing: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "namedprocess_exporter_capability_missing",
			Help: "1 for each pair of a missing capability and the data that needs it.",
		}, []string{"capability", "data"}),
		layers: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "namedprocess_exporter_sandbox",
			Help: "Whether a layer of the sandbox is active (1) or not (0).",
		}, []string{"layer"}),
	}
}

func (m sandboxMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.missing, m.layers}
}

// enterSandbox drops the privileges that serving does not need, and checks which
// capabilities are missing. It must run after all files and sockets are open and
// before the first process is read: the privileges of a thread cannot change
// while a read of a /proc file blocks it.
func (e *Exporter) enterSandbox() {
	kind, _ := e.tracker.Kind()
	e.capabilities.sockets, _ = e.tracker.SocketsKind()
	for _, layer := range sandbox.Layers() {
		e.sandboxMetrics.layers.WithLabelValues(layer).Set(0)
	}
	if e.settings.Sandbox != "off" {
		e.applySandbox(e.sandboxOptions(kind, e.neededData(kind, e.rules.Matcher)))
	}
	e.checkCapabilities(kind, e.rules.Matcher)
}

// otherFiles is the number of file descriptors that are not for connections of clients:
// files of processes, BPF programs, maps, listeners and connections for profiles.
const otherFiles = 512

// sandboxOptions returns what the sandbox must allow. Landlock denies access to
// files that require ptrace access to another process, even with
// CAP_SYS_PTRACE, so mode auto uses it only if no such file is read.
func (e *Exporter) sandboxOptions(kind platform.SourceKind, data []privilegedData) sandbox.Options {
	strict := e.settings.Sandbox == "strict"
	o := sandbox.Options{Readable: e.readableDirs(), OpenFiles: uint64(e.settings.MaxConnections + otherFiles)}
	if e.rules.Matcher.Needs()&platform.IdentityContainer != 0 {
		o.Readable = append(o.Readable, containers.DefaultDirs().Paths()...)
	}
	for _, d := range data {
		for _, c := range d.needs {
			if strict && c != sandbox.Perfmon || slices.Contains(o.Keep, c) {
				continue
			}
			o.Keep = append(o.Keep, c)
		}
	}
	if (kind == platform.SourceBPF || e.capabilities.sockets == platform.SourceBPF) && platform.NeedsCapBPFAfterLoad() {
		o.Keep = append(o.Keep, sandbox.BPF)
	}
	ptrace := slices.Contains(sandbox.Held(o.Keep...), sandbox.SysPtrace)
	if ptrace { // implies CAP_PERFMON
		o.Keep = slices.DeleteFunc(o.Keep, func(c sandbox.Capability) bool { return c == sandbox.Perfmon })
	}
	o.Landlock = strict || kind == platform.SourceBPF && !ptrace
	return o
}

// applySandbox enters the sandbox and reports its layers in the log and metrics.
func (e *Exporter) applySandbox(o sandbox.Options) {
	report := sandbox.Enter(o)
	for _, layer := range report.Layers {
		e.sandboxMetrics.layers.WithLabelValues(layer).Set(1)
	}
	held := make([]string, len(report.Held))
	for i, c := range report.Held {
		held[i] = c.String()
	}
	attrs := []any{"layers", strings.Join(report.Layers, ","), "capabilities", strings.Join(held, ",")}
	if len(report.Unavailable) > 0 {
		unavailable := make([]string, len(report.Unavailable))
		for i, err := range report.Unavailable {
			unavailable[i] = err.Error()
		}
		attrs = append(attrs, "err", strings.Join(unavailable, "; "))
	}
	e.log.Info("entered sandbox", attrs...)
	e.checkReloadFiles()
}

// reloadFiles returns the files that a reload reads.
func (e *Exporter) reloadFiles() (paths []string) {
	if e.settings.ConfigPath != "" {
		paths = append(paths, e.settings.ConfigPath)
	}
	return append(paths, e.web.Files()...)
}

// checkReloadFiles logs the files that the daemon can no longer read.
func (e *Exporter) checkReloadFiles() {
	for _, path := range e.reloadFiles() {
		file, err := os.Open(path)
		if err != nil {
			e.log.Warn("a reload will fail: the sandbox denies access to a file; make it readable for the exporter's user, or use --sandbox=off",
				"path", path, "err", err)
			continue
		}
		_ = file.Close() // read only
	}
}

// readableDirs returns the directories that the sandbox must leave readable:
// /proc, /etc (for user names), and the directories of the configuration files and
// of the targets of their symbolic links, so that files can be replaced. Files of
// cgroups are not read, and Landlock permits stat(2) of them.
func (e *Exporter) readableDirs() []string {
	dirs := []string{e.settings.ProcFS, "/proc", "/etc"}
	for _, path := range e.reloadFiles() {
		dirs = append(dirs, filepath.Dir(path))
		if resolved, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(resolved))
		}
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}
