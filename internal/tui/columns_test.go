package tui

import (
	"math"
	"strings"
	"testing"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"

	"github.com/seed57308aee/process_exporter/internal/webui"
)

// TestColumns checks the value of each column with a group whose values all differ, and that its
// key sorts by it.
func TestColumns(t *testing.T) {
	full := webui.Group{
		Name: "full", Procs: 11, CPU: ptr(0.12), ResidentBytes: ptr(uint64(13)),
		ReadBytes: ptr(14.0), WriteBytes: ptr(15.0),
		FailedExits: ptr(uint64(19)), NumThreads: ptr(20), OpenFDs: ptr(uint64(21)),
		ProportionalBytes: ptr(uint64(22)), WorstFDRatio: ptr(0.23), ContextSwitches: ptr(24.0),
		Exits: ptr(uint64(25)), OldestStart: ptr(now.Unix() - 26),
	}
	full.SentBytes, full.ReceivedBytes, full.Connections = ptr(16.0), ptr(17.0), ptr(18)
	m, _ := newModel(80, 24)
	m.report.Exporter.SocketSource = "bpf"
	m.report.Groups = []webui.Group{{Name: "empty"}, full}
	want := map[string]string{
		"PROCS": "11", "CPU%": "12.0", "RSS": "13B", "READ/S": "14B", "WRITE/S": "15B", "SENT/S": "16B", "RECV/S": "17B",
		"CONNS": "18", "FAILED": "19",
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

// TestEndedGroups checks that a group without processes is faint, and last among groups with equal values.
func TestEndedGroups(t *testing.T) {
	m, f := newModel(80, 24)
	f.report.Groups = []webui.Group{
		{Name: "ended", CPU: ptr(0.0)},
		{Name: "idle", CPU: ptr(0.0), Procs: 1}, {Name: "busy", CPU: ptr(1.0), Procs: 1}}
	m.Update(m.requestReport()())
	lines := strings.Split(m.View(), "\n")
	if !strings.Contains(lines[3], "idle") || lines[4] != faint(ansi.Strip(lines[4])) || !strings.Contains(lines[4], "ended") {
		t.Errorf("got %q, want the idle group, and the faint ended one", lines)
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

// TestKeysOfTable checks keys that move up by a page, and a filter without regard to case and
// control characters.
func TestKeysOfTable(t *testing.T) {
	m, _ := newModel(80, 24)
	m.report.Groups = nil
	for i := range 100 {
		m.report.Groups = append(m.report.Groups, webui.Group{Name: "Group " + string(rune('a'+i%26)), Procs: i})
	}
	m.arrange()
	press(m, "end")
	m.Update(tea.KeyMsg{Type: tea.KeyPgUp})
	if m.cursor != 79 {
		t.Errorf("got group %d a page above the last, want 79", m.cursor)
	}
	press(m, "/", "g", "R", "o", "u", "P")
	if len(m.groups) != 100 || !strings.HasSuffix(m.View(), "filter: gRouP_") {
		t.Errorf("got %d groups, %q", len(m.groups), m.status())
	}
	m.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{'\x1b'}})
	if strings.Contains(m.filter, "\x1b") {
		t.Errorf("got the filter %q", m.filter)
	}
}

// TestPartOfSize checks a terminal that reports one of its dimensions as 0.
func TestPartOfSize(t *testing.T) {
	m, _ := newModel(80, 24)
	for _, size := range []tea.WindowSizeMsg{{Width: 0, Height: 50}, {Width: 50, Height: 0}} {
		if m.Update(size); m.width != defaultWidth || m.height != defaultHeight {
			t.Errorf("%+v: got %d x %d", size, m.width, m.height)
		}
	}
}

// TestLateDetail checks that the response about a group that was left is dropped, and that a group
// begins at its first line.
func TestLateDetail(t *testing.T) {
	m, f := newModel(80, 24)
	m.detailName = "beta"
	m.Update(detailMsg{name: "alpha", report: f.report})
	if m.detailReport != nil {
		t.Error("got the report of another group")
	}
	m.detailName, m.detailTop = "", 5
	if press(m, "enter"); m.detailTop != 0 {
		t.Errorf("got line %d first", m.detailTop)
	}
}

// TestRowOfProcess checks the values of a process, and the number of processes that are not shown.
func TestRowOfProcess(t *testing.T) {
	p := webui.Process{PID: 1, User: "u", Command: "/bin/p", Name: "p",
		CPU: ptr(0.02), ResidentBytes: ptr(uint64(3)), ReadBytes: ptr(4.0), WriteBytes: ptr(5.0)}
	p.Start.Time = now
	if got := strings.Join(strings.Fields(processRow(&p, webui.Timestamp{Time: now})), " "); got != "1 u 0s 2.0 3B 4B 5B /bin/p" {
		t.Errorf("got %q", got)
	}
	m, _ := newModel(80, 24)
	m.detailProcesses = &webui.ProcessReport{Processes: []webui.Process{p}, Total: 2}
	if got := m.processLines()[2]; got != "and 1 more" {
		t.Errorf("got %q", got)
	}
	if got := moment(now.AddDate(1, 0, 0), now); len(got) != len("2006-01-02 15:04:05") {
		t.Errorf("got %q of the same day of another year", got)
	}
}
