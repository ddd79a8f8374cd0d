package tui

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/seed57308aee/process_exporter/internal/webui"
)

// A summaryPart is a part of the first line. Narrow terminals omit parts, the highest rank first.
type summaryPart struct {
	text string
	rank int
}

// summary returns the first line: problem, the machine and the state of the exporter, as far as
// they fit into width. shown is the number of groups that match the filter.
func summary(r *webui.Report, shown, width int, problem string) string {
	procs := 0
	for i := range r.Groups {
		procs += r.Groups[i].Procs
	}
	groups := ", " + count(len(r.Groups), "group", "groups")
	if shown != len(r.Groups) {
		groups += fmt.Sprintf(" (%d shown)", shown)
	}
	e := &r.Exporter
	parts := append([]summaryPart{{problem, 0}}, machine(r.Machine)...)
	parts = append(parts, summaryPart{count(procs, "process", "processes"), 4}, summaryPart{groups, 8})
	if r.FailedExits != nil && *r.FailedExits > 0 && r.FailedExitsSeconds != nil {
		parts = append(parts, summaryPart{fmt.Sprintf("%d failed in %s", *r.FailedExits, period(*r.FailedExitsSeconds)), 1})
	}
	if n := silentPorts(r.Groups); n > 0 {
		parts = append(parts, summaryPart{count(n, "expected port", "expected ports") + " not listening", 1})
	}
	if e.Unreadable > 0 {
		parts = append(parts, summaryPart{fmt.Sprintf("%d unreadable", e.Unreadable), 5})
	}
	if e.Unresponsive > 0 {
		parts = append(parts, summaryPart{fmt.Sprintf("%d unresponsive", e.Unresponsive), 5})
	}
	if e.LostExitEvents > 0 {
		parts = append(parts, summaryPart{fmt.Sprintf("%d lost exit events", e.LostExitEvents), 6})
	}
	parts = append(parts, summaryPart{fmt.Sprintf("%s, walk %.1f ms", replaceUnprintable(e.Source), 1000*e.ScrapeDuration), 9})
	parts = slices.DeleteFunc(parts, func(p summaryPart) bool { return p.text == "" })
	return joinFitting(parts, width)
}

// silentPorts returns the number of expected ports on which no process listens.
func silentPorts(groups []webui.Group) (n int) {
	for i := range groups {
		n += len(groups[i].ExpectedPortsNotListening)
	}
	return n
}

// joinFitting joins the parts that fit into width.
func joinFitting(parts []summaryPart, width int) string {
	for {
		text, omitted := "", 0
		for i, p := range parts {
			if i > 0 && !strings.HasPrefix(p.text, ",") {
				text += "  "
			}
			text += p.text
			if p.rank > parts[omitted].rank {
				omitted = i
			}
		}
		if len(parts) == 1 || ansi.StringWidth(text) <= width {
			return text
		}
		parts = slices.Delete(parts, omitted, omitted+1)
	}
}

// period returns a time in minutes and seconds.
func period(seconds float64) string {
	n := int(seconds + 0.5)
	switch {
	case n < 60:
		return fmt.Sprintf("%d s", n)
	case n%60 == 0:
		return fmt.Sprintf("%d min", n/60)
	}
	return fmt.Sprintf("%d min %d s", n/60, n%60)
}

// machine returns the usage of the machine, as far as it is known.
func machine(m *webui.MachineStatus) (parts []summaryPart) {
	if m == nil {
		return nil
	}
	parts = append(parts, summaryPart{replaceUnprintable(m.Hostname), 7})
	if m.CPU != nil && m.CPUs != nil {
		parts = append(parts, summaryPart{fmt.Sprintf("CPU %.1f of %d", *m.CPU, *m.CPUs), 2})
	}
	if m.UsedBytes != nil && m.MemoryBytes != nil {
		parts = append(parts, summaryPart{fmt.Sprintf("memory %s of %s", size(float64(*m.UsedBytes), 0), size(float64(*m.MemoryBytes), 0)), 3})
	}
	return parts
}

func count(n int, singular, plural string) string {
	if n == 1 {
		return "1 " + singular
	}
	return strconv.Itoa(n) + " " + plural
}
