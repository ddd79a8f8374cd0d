package tui

import (
	"math"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/internal/webui"
)

// TestColumns checks the value of each column with a group whose values all differ, and that its key sorts by it.
func TestColumns(t *testing.T) {
	full := webui.Group{
		Name: "full", Procs: 11, CPU: ptr(0.12), ResidentBytes: ptr(uint64(13)), ReadBytes: ptr(14.0), WriteBytes: ptr(15.0),
		FailedExits: ptr(uint64(19)), Threads: ptr(20), OpenFDs: ptr(uint64(21)),
		ProportionalBytes: ptr(uint64(22)), WorstFDRatio: ptr(0.23), ContextSwitches: ptr(24.0), Exits: ptr(uint64(25)), OldestStart: ptr(now.Unix() - 26),
	}
	full.SentBytes, full.ReceivedBytes, full.Connections = ptr(16.0), ptr(17.0), ptr(18)
	m, _ := newModel(80, 24)
	m.report.Exporter.SocketSource = "bpf"
	m.report.Groups = []webui.Group{{Name: "empty"}, full}
	want := map[string]string{
		"PROCS": "11", "CPU%": "12.0", "RSS": "13B", "READ/S": "14B", "WRITE/S": "15B", "SENT/S": "16B", "RECV/S": "17B", "CONNS": "18", "FAILED": "19",
		"THREADS": "20", "FDS": "21", "PSS": "22B", "FDUSE%": "23.0", "CTXSW/S": "24", "EXITS": "25", "AGE": "26s",
	}
	for i, c := range columns {
		l := layout{columns: []int{i}, name: minNameWidth}
		if got := strings.Fields(row(&full, l, m.report.Time, 0, "")); len(got) != 2 || got[1] != want[c.title] {
			t.Errorf("%s: got %q, want %q", c.title, got, want[c.title])
		}
		press(m, "n", c.key)
		if m.sorting != (sorting{column: i}) || m.groups[0].Name != "full" {
			t.Errorf("%s: the key %s sorts by %+v, first is %s", c.title, c.key, m.sorting, m.groups[0].Name)
		}
	}
	older := full
	older.Name, older.OldestStart = "older", ptr(now.Unix()-90)
	m.report.Groups = []webui.Group{full, older}
	if press(m, "a"); m.groups[0].Name != "older" {
		t.Errorf("got %s first, want the group with the oldest process", m.groups[0].Name)
	}
}

// TestPrintedOrder checks that the text without a terminal has the busiest group first.
func TestPrintedOrder(t *testing.T) {
	r := webui.Report{Groups: []webui.Group{{Name: "idle", CPU: ptr(0.0)}, {Name: "busy", CPU: ptr(1.0)}}}
	if lines := strings.Split(Print(&r), "\n"); !strings.HasPrefix(lines[2], "busy") || !strings.HasPrefix(lines[3], "idle") {
		t.Errorf("got %q", lines)
	}
}

// TestNewestOfHistory checks that a narrow history has the newest values.
func TestNewestOfHistory(t *testing.T) {
	if got := spark([]float64{1, 1, 0, 0.5}, 1, 2); got != "▁▅" {
		t.Errorf("got %q", got)
	}
}

// TestSummaryLimits checks a line that has exactly the width, and a count of no failures.
func TestSummaryLimits(t *testing.T) {
	r := webui.Report{FailedExits: ptr(uint64(0)), FailedExitsSeconds: ptr(60.0), Exporter: webui.ExporterStatus{Source: "bpf"}}
	whole := summary(&r, 0, math.MaxInt, "")
	if strings.Contains(whole, "failed") {
		t.Errorf("got %q", whole)
	}
	if got := summary(&r, 0, len(whole), ""); got != whole {
		t.Errorf("got %q in %d columns, want %q", got, len(whole), whole)
	}
	parts := []summaryPart{{"first", 1}, {"second", 5}, {"third", 5}}
	if got := joinFitting(parts, len("first  third")); got != "first  third" {
		t.Errorf("got %q, want it without the first part of the highest rank", got)
	}
}
