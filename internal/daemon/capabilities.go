package daemon

import (
	"slices"
	"strings"
	"sync"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/platform/sandbox"
)

// privilegedData is data about processes of other users that needs capabilities.
type privilegedData struct {
	name  string // value of the label "data"
	needs []sandbox.Capability
}

// dataCapabilities are the capabilities that privilegedData may need.
var dataCapabilities = []sandbox.Capability{sandbox.DACReadSearch, sandbox.SysPtrace, sandbox.Perfmon}

// privilegedDataOf returns the data about processes of other users that the collectors and the rules
// read, each with the capabilities that a source of this kind needs for it. The caller leaves out
// CollectorNetwork unless sockets are read from /proc. The user ID does not matter: root in a
// container may lack capabilities that a service with its own user has.
func privilegedDataOf(
	kind platform.SourceKind, collectors grouping.CollectorSet, fields platform.IdentityFields, kernel kernelNeeds,
) (data []privilegedData) {
	wanted := collectors.Fields()
	if kind == platform.SourceProcfs && wanted&platform.FieldIO != 0 {
		data = append(data, privilegedData{"io", []sandbox.Capability{sandbox.SysPtrace, sandbox.DACReadSearch}})
	}
	if kind == platform.SourceProcfs && wanted&platform.FieldFDs != 0 && kernel.listFDs {
		data = append(data, privilegedData{"open_files", []sandbox.Capability{sandbox.DACReadSearch}})
	}
	if wanted&platform.FieldSmaps != 0 {
		data = append(data, privilegedData{"proportional_memory", []sandbox.Capability{kernel.smaps}})
	}
	if wanted&platform.FieldWChan != 0 {
		data = append(data, privilegedData{"wait_channels", []sandbox.Capability{sandbox.SysPtrace}})
	}
	if collectors.Has(grouping.CollectorNetwork) {
		data = append(data, privilegedData{"sockets", []sandbox.Capability{sandbox.SysPtrace, sandbox.DACReadSearch}})
	}
	if fields&platform.IdentityExe != 0 {
		data = append(data, privilegedData{"executable_paths", []sandbox.Capability{sandbox.SysPtrace}})
	}
	return data
}

// neededData returns the privileged data that the flags and these rules need.
func (e *Exporter) neededData(kind platform.SourceKind, rules grouping.Matcher) []privilegedData {
	enabled := grouping.EnabledCollectors(rules, e.settings.Collectors) &^ e.settings.DisabledCollectors()
	if e.capabilities.sockets != platform.SourceProcfs {
		enabled &^= grouping.CollectorNetwork
	}
	return privilegedDataOf(kind, enabled, rules.Needs(), e.capabilities.kernel)
}

// kernelNeeds describes what kernels require differently for data about processes
// of other users.
type kernelNeeds struct {
	// smaps is the capability that proportional memory needs: CAP_PERFMON, which
	// grants no write access, on kernels that accept it, else CAP_SYS_PTRACE.
	smaps   sandbox.Capability
	listFDs bool // open files are counted by listing /proc/PID/fd: before Linux 6.2
}

func thisKernel() kernelNeeds {
	k := kernelNeeds{smaps: sandbox.Perfmon, listFDs: platform.FDCountNeedsDACReadSearch()}
	if platform.SmapsNeedsPtrace() {
		k.smaps = sandbox.SysPtrace
	}
	return k
}

// missingCapability is a capability that is not held, and data that needs it.
type missingCapability struct{ capability, data string }

// findMissing returns the capabilities that data needs and held lacks.
// CAP_SYS_PTRACE implies CAP_PERFMON here.
func findMissing(data []privilegedData, held []sandbox.Capability) (missing []missingCapability) {
	for _, d := range data {
		for _, c := range d.needs {
			if !slices.Contains(held, c) && (c != sandbox.Perfmon || !slices.Contains(held, sandbox.SysPtrace)) {
				missing = append(missing, missingCapability{c.String(), d.name})
			}
		}
	}
	return missing
}

// formatMissing returns the missing capabilities as one line for the log.
func formatMissing(missing []missingCapability) string {
	var order []string
	data := make(map[string][]string)
	for _, m := range missing {
		if data[m.capability] == nil {
			order = append(order, m.capability)
		}
		data[m.capability] = append(data[m.capability], m.data)
	}
	for i, c := range order {
		order[i] = c + " (" + strings.Join(data[c], ", ") + ")"
	}
	return strings.Join(order, ", ")
}

// MissingCapabilities returns the capabilities that this process lacks, with the data of these
// collectors and rules that it cannot read of other users' processes; "" for none. collectors
// have CollectorNetwork only if the sockets are read from /proc.
func MissingCapabilities(kind platform.SourceKind, collectors grouping.CollectorSet, rules grouping.Matcher) string {
	return formatMissing(findMissing(privilegedDataOf(kind, collectors, rules.Needs(), thisKernel()), sandbox.Held(dataCapabilities...)))
}

// A capabilityCheck is the state of the check for missing capabilities. The
// result changes with the source, and with the rules of a reload.
type capabilityCheck struct {
	held   func(...sandbox.Capability) []sandbox.Capability
	kernel kernelNeeds

	mu      sync.Mutex          // guards the fields below: reloads and walks are concurrent
	kind    platform.SourceKind // "" before the first check
	sockets platform.SourceKind // of the reader of sockets; "" without
	rules   grouping.Matcher
	missing []missingCapability
}

// checkCapabilities finds the missing capabilities for a source and for rules. It sets
// the metric, and logs a new result.
func (e *Exporter) checkCapabilities(kind platform.SourceKind, rules grouping.Matcher) {
	e.capabilities.mu.Lock()
	defer e.capabilities.mu.Unlock()
	e.checkLocked(kind, rules)
}

// checkRules repeats the check for new rules.
func (e *Exporter) checkRules(rules grouping.Matcher) {
	e.capabilities.mu.Lock()
	defer e.capabilities.mu.Unlock()
	if e.capabilities.kind != "" {
		e.checkLocked(e.capabilities.kind, rules)
	}
}

// checkSource repeats the check if a walk has used another source. The kind is
// "" after a walk that failed.
func (e *Exporter) checkSource(kind, sockets platform.SourceKind) {
	e.capabilities.mu.Lock()
	defer e.capabilities.mu.Unlock()
	previous, socketsBefore := e.capabilities.kind, e.capabilities.sockets
	if previous != "" && kind != "" && (kind != previous || sockets != socketsBefore) {
		e.capabilities.sockets = sockets
		e.checkLocked(kind, e.capabilities.rules)
	}
}

// checkLocked requires the mutex of the check.
func (e *Exporter) checkLocked(kind platform.SourceKind, rules grouping.Matcher) {
	c := &e.capabilities
	previous := c.missing
	missing := findMissing(e.neededData(kind, rules), c.held(dataCapabilities...))
	c.kind, c.rules, c.missing = kind, rules, missing
	for _, m := range previous {
		if !slices.Contains(missing, m) {
			e.sandboxMetrics.missing.DeleteLabelValues(m.capability, m.data)
		}
	}
	for _, m := range missing {
		e.sandboxMetrics.missing.WithLabelValues(m.capability, m.data).Set(1)
	}
	if len(missing) > 0 && !slices.Equal(missing, previous) {
		e.log.Warn("missing capabilities; some data of other users' processes is not exported", "reason", formatMissing(missing))
	}
}
