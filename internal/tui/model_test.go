package tui

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"

	"github.com/seed57308aee/process_exporter/internal/webui"
)

func ptr[T any](v T) *T { return &v }

var now = time.Unix(1_000_000, 0)

func sampleReport() webui.Report {
	exporter := webui.ExporterStatus{Source: "bpf", ScrapeSuccess: true}
	return webui.Report{Time: webui.Timestamp{Time: now}, Interval: 2, Exporter: exporter, Groups: []webui.Group{
		{Name: "alpha", Procs: 1, CPU: ptr(0.5), ResidentBytes: ptr(uint64(3 << 20)), OldestStart: ptr(now.Unix() - 90)},
		{Name: "beta", Procs: 7, CPU: ptr(1.25), ResidentBytes: ptr(uint64(1 << 20)),
			Labels: map[string]string{"pod": "web", "app": "x"}},
		{Name: "gamma", Procs: 3},
		{Name: "del\x1b[2Jta\u202e", Procs: 2, CPU: ptr(0.0)},
		{Name: "日本語の名前はとても長いのですよ", Procs: 2, CPU: ptr(0.001)},
	}}
}

// A fakeReporter returns the report and the error that the test sets.
type fakeReporter struct {
	report       webui.Report
	err          error
	processes    webui.ProcessReport
	processesErr error
}

func (f *fakeReporter) Report(context.Context) (webui.Report, error)         { return f.report, f.err }
func (f *fakeReporter) Detail(context.Context, string) (webui.Report, error) { return f.report, f.err }
func (f *fakeReporter) ProcessesOf(context.Context, string) (webui.ProcessReport, error) {
	return f.processes, f.processesErr
}
func (f *fakeReporter) LargestProcesses(context.Context) (webui.ProcessReport, error) {
	return f.processes, f.processesErr
}

func newModel(width, height int) (*model, *fakeReporter) {
	f := &fakeReporter{report: sampleReport()}
	m := &model{
		ctx:     context.Background(),
		options: Options{Reporter: f, Interval: time.Second},
		report:  f.report,
		sorting: sorting{column: columnCPU},
	}
	m.Update(tea.WindowSizeMsg{Width: width, Height: height})
	m.arrange()
	return m, f
}

// press sends keys, by their bubbletea name or as runes, and the messages that they cause. It reports
// whether the program quits.
func press(m *model, keys ...string) (quit bool) {
	special := map[string]tea.KeyType{"enter": tea.KeyEnter, "esc": tea.KeyEsc, "down": tea.KeyDown, "up": tea.KeyUp, "end": tea.KeyEnd,
		"home": tea.KeyHome, "pgdown": tea.KeyPgDown, "ctrl+c": tea.KeyCtrlC, "backspace": tea.KeyBackspace}
	for _, key := range keys {
		msg := tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(key)}
		if kind, ok := special[key]; ok {
			msg = tea.KeyMsg{Type: kind}
		}
		if _, cmd := m.Update(msg); cmd != nil {
			msg := cmd()
			if _, ok := msg.(tea.QuitMsg); ok {
				return true
			}
			m.Update(msg)
		}
	}
	return false
}

func names(m *model) string {
	var out []string
	for i := range m.groups {
		out = append(out, strings.Fields(label(&m.groups[i]))[0])
	}
	return strings.Join(out, " ")
}

func TestOrder(t *testing.T) {
	const control, japanese = "del\ufffd[2Jta\ufffd", "日本語の名前はとても長いのですよ"
	for _, tt := range []struct {
		keys []string
		want string
	}{
		{nil, "beta alpha " + japanese + " " + control + " gamma"},
		{[]string{"R"}, control + " " + japanese + " alpha beta gamma"},
		{[]string{"n"}, "alpha beta " + control + " gamma " + japanese},
		{[]string{"p"}, "beta gamma " + control + " " + japanese + " alpha"},
		{[]string{"m"}, "alpha beta " + control + " gamma " + japanese},
		{[]string{"/", "E", "T", "A", "enter"}, "beta"},
		{[]string{"/", "p", "o", "d", "=", "enter"}, "beta"},
		{[]string{"/", "x", "y", "backspace", "backspace", "g", "a", "m", "enter"}, "gamma"},
		{[]string{"/gam", "enter"}, "gamma"}, // typed fast
		{[]string{"/", "q", "esc"}, "beta alpha " + japanese + " " + control + " gamma"},
	} {
		m, _ := newModel(120, 20)
		if press(m, tt.keys...) {
			t.Errorf("%q: quit", tt.keys)
		}
		if got := names(m); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.keys, got, tt.want)
		}
	}
}

func TestQuit(t *testing.T) {
	for _, keys := range [][]string{{"q"}, {"ctrl+c"}, {"/", "ctrl+c"}, {"?", "x", "q"}, {"enter", "q", "q"}} {
		if m, _ := newModel(80, 24); !press(m, keys...) {
			t.Errorf("%q: got no quit", keys)
		}
	}
}

// TestView checks that views fit on terminals of any size and contain no control sequences of names.
func TestView(t *testing.T) {
	for _, width := range []int{1, 10, 40, 80, 200} {
		for _, height := range []int{1, 4, 24} {
			for _, keys := range [][]string{nil, {"?"}, {"enter"}, {"end"}, {"/", "x"}} {
				m, _ := newModel(width, height)
				press(m, keys...)
				lines := strings.Split(m.View(), "\n")
				if len(lines) > height {
					t.Errorf("%dx%d %q: got %d lines", width, height, keys, len(lines))
				}
				for _, line := range lines {
					if w := ansi.StringWidth(line); w > width {
						t.Errorf("%dx%d %q: got %d cells in %q", width, height, keys, w, line)
					}
					if strings.Contains(line, "\x1b[2J") || strings.Contains(line, "\u202e") {
						t.Errorf("got %q, want no control sequences", line)
					}
				}
			}
		}
	}
	m, _ := newModel(80, 24)
	view := strings.Join(strings.Fields(ansi.Strip(m.View())), " ")
	for _, want := range []string{"15 processes, 5 groups bpf, walk 0.0 ms",
		"alpha 1 50.0 3.0M – –", "gamma 3 – – –", "beta app=x pod=web 7 125.0"} {
		if !strings.Contains(view, want) {
			t.Errorf("got\n%s\nwant %q in it", view, want)
		}
	}
}

// TestUpdates checks that a new report is shown, and that the previous one stays after an error.
func TestUpdates(t *testing.T) {
	m, f := newModel(80, 24)
	f.report.Groups = f.report.Groups[:1]
	m.Update(m.requestReport()())
	if names(m) != "alpha" {
		t.Errorf("got %q", names(m))
	}
	f.err = errors.New("connection refused\x1b[31m")
	m.Update(m.requestReport()())
	if view := m.View(); names(m) != "alpha" || !strings.Contains(view, "update failed: connection refused\ufffd") {
		t.Errorf("got %q", view)
	}
	press(m, "enter")
	if view := m.View(); !strings.Contains(view, "connection refused") {
		t.Errorf("got %q", view)
	}
	f.err = nil
	m.Update(m.requestDetail()())
	if view := m.View(); !strings.Contains(view, "alpha") || strings.Contains(view, "refused") {
		t.Errorf("got %q", view)
	}
}

// TestFailures checks that 80 columns have space for the failed exits and the I/O, and that a key
// sorts by failed exits.
func TestFailures(t *testing.T) {
	m, f := newModel(80, 24)
	f.report.Groups[0].FailedExits, f.report.Groups[2].FailedExits = ptr(uint64(3)), ptr(uint64(12))
	m.Update(m.requestReport()())
	press(m, "d")
	view := strings.Join(strings.Fields(ansi.Strip(m.View())), " ")
	for _, want := range []string{"READ/S WRITE/S FAILED ↓", "gamma 3 – – – – 12 ", "alpha 1 50.0 3.0M – – 3 "} {
		if !strings.Contains(view, want) {
			t.Errorf("got\n%s\nwant %q in it", view, want)
		}
	}
	if got := names(m); !strings.HasPrefix(got, "gamma alpha") {
		t.Errorf("got %q, want the most failures first", got)
	}
}

// TestNetwork checks that the columns of the network are absent without the collector, and that
// /proc has no traffic.
func TestNetwork(t *testing.T) {
	for source, want := range map[string]string{
		"bpf":    "beta app=x pod=web 7 125.0 1.0M – – 5.0K 512B 3 ",
		"procfs": "beta app=x pod=web 7 125.0 1.0M – – 3 ",
		"":       "beta app=x pod=web 7 125.0 1.0M – – – ",
	} {
		m, f := newModel(130, 24)
		f.report.Exporter.SocketSource = source
		g := &f.report.Groups[1]
		g.SentBytes, g.ReceivedBytes, g.Connections = ptr(5120.0), ptr(512.0), ptr(3)
		f.report.Groups[2].SentBytes = ptr(9000.0)
		m.Update(m.requestReport()())
		text := func() string { return strings.Join(strings.Fields(ansi.Strip(m.View())), " ") }
		got, traffic := text(), source == "bpf"
		if !strings.Contains(got, want) ||
			strings.Contains(got, "SENT/S RECV/S CONNS") != traffic || strings.Contains(got, "CONNS") != (source != "") {
			t.Errorf("%q: got\n%s\nwant %q in it", source, m.View(), want)
		}
		press(m, "o")
		if got := names(m); strings.HasPrefix(got, "gamma beta") != traffic {
			t.Errorf("%q: got %q, want the group that sends most first only with traffic", source, got)
		}
		press(m, "?")
		if strings.Contains(m.View(), "sent/s") != traffic {
			t.Errorf("%q: got help\n%s", source, m.View())
		}
		g.ConnectionsByState = map[string]int{"established": 2, "close_wait": 1}
		g.ListeningPorts = []webui.ListeningPort{{Protocol: "tcp", Port: "443", Procs: 1}, {Protocol: "udp", Port: "other", Procs: 2}}
		f.report.Groups = f.report.Groups[1:2]
		press(m, "x", "enter")
		const sockets = "tcp 1 close_wait tcp 2 established listens tcp/443 in 1 process listens udp/other in 2 processes"
		if !strings.Contains(text(), sockets) {
			t.Errorf("got\n%s\nwant the sockets of the group", m.View())
		}
		if text := Print(&f.report); strings.Contains(text, "CONNS") != (source != "") || !strings.Contains(text, " AGE\n") {
			t.Errorf("%q: got\n%s", source, text)
		}
	}
}

// TestExpectedPorts checks that a group that does not listen on a port that its rule expects has
// the color of failures, and that the summary and the detail view show it.
func TestExpectedPorts(t *testing.T) {
	m, f := newModel(120, 24)
	f.report.Groups[0].ExpectedPortsNotListening = []string{"tcp/443", "udp/53"}
	m.Update(m.requestReport()())
	view := m.View()
	for line := range strings.Lines(view) {
		if got := strings.Contains(line, "\x1b[31m"); got != strings.Contains(line, "alpha") {
			t.Errorf("got the color of failures %v in %q", got, line)
		}
	}
	for _, text := range []string{view, Print(&f.report)} {
		if !strings.Contains(text, "2 expected ports not listening") {
			t.Errorf("got\n%s\nwant the number of expected ports", text)
		}
	}
	press(m, "n", "enter")
	if !strings.Contains(m.View(), "\x1b[31mlistens  tcp/443 in no process, expected\x1b[39m") {
		t.Errorf("got\n%s\nwant the ports", m.View())
	}
}

// TestSortedColumn checks that a narrow terminal shows the column that sorts the table, with its
// values and an arrow.
func TestSortedColumn(t *testing.T) {
	for _, width := range []int{30, 40, 80, 200} {
		m, f := newModel(width, 24)
		f.report.Exporter.SocketSource = "bpf"
		f.report.Groups[1].ReceivedBytes = ptr(512.0)
		m.Update(m.requestReport()())
		press(m, "i")
		lines := strings.Split(ansi.Strip(m.View()), "\n")
		if shown := strings.Contains(lines[1], "RECV/S ↓") && strings.Contains(lines[2], "512B"); !shown {
			t.Errorf("width %d: got\n%s\n%s", width, lines[1], lines[2])
		}
		for _, line := range lines {
			if ansi.StringWidth(line) > width {
				t.Errorf("got a line of %d cells, want at most %d", ansi.StringWidth(line), width)
			}
		}
	}
}

func TestCursor(t *testing.T) {
	m, _ := newModel(80, 24)
	m.report.Groups = nil
	for i := range 100 {
		m.report.Groups = append(m.report.Groups, webui.Group{Name: fmt.Sprintf("g%02d", i), Procs: 1})
	}
	m.arrange()
	for _, tt := range []struct {
		keys []string
		want int
	}{
		{[]string{"down", "down", "up"}, 1},
		{[]string{"end"}, 99},
		{[]string{"down"}, 99},
		{[]string{"home", "up"}, 0},
		{[]string{"pgdown"}, 20},
	} {
		press(m, tt.keys...)
		if m.cursor != tt.want {
			t.Errorf("%q: got %d, want %d", tt.keys, m.cursor, tt.want)
		}
		if !strings.Contains(m.View(), fmt.Sprintf("\x1b[7mg%02d", tt.want)) {
			t.Errorf("%q: the selected group is not on the screen", tt.keys)
		}
	}
}

func TestUnits(t *testing.T) {
	for v, want := range map[float64]string{0: "0B", 999: "999B", 1000: "1.0K", 1 << 20: "1.0M", 5 << 30: "5.0G"} {
		if got := size(v, 0); got != want {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 59 * time.Second: "59s", time.Minute: "1m", 24 * time.Hour: "1d", 25 * time.Hour: "1d",
	} {
		if got := age(d.Seconds()); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}

// TestProcessView checks the processes of a group: values, order of lines, and that text of users
// is safe.
func TestProcessView(t *testing.T) {
	m, f := newModel(100, 26)
	before := now.AddDate(0, 0, -1)
	f.processes = webui.ProcessReport{
		Time: webui.Timestamp{Time: now}, Interval: 2, Total: 30,
		Processes: []webui.Process{
			{
				PID: 71, User: "al\x1b[2Jice", Start: webui.Timestamp{Time: now.Add(-time.Minute)}, CPU: ptr(0.25),
				ResidentBytes: ptr(uint64(2 << 20)), Command: "worker --password=*** \x1b]0;x\x07",
			},
			{PID: 72, Start: webui.Timestamp{Time: now}, Command: "[new]"},
		},
		Ended: []webui.EndedProcess{
			{
				PID: 70, Name: "worker", Start: webui.Timestamp{Time: now.Add(-time.Hour)}, End: webui.Timestamp{Time: now},
				Reason: "exited", Code: "3",
			},
			{
				PID: 69, Name: "old", Start: webui.Timestamp{Time: before}, End: webui.Timestamp{Time: before},
				Reason: "killed", Code: "SIGKILL", Approximate: true,
			},
		},
	}
	press(m, "enter")
	view := m.View()
	if strings.Contains(view, "\x1b[2J") || strings.Contains(view, "\x1b]0;") {
		t.Errorf("got %q, want no control sequences of processes", view)
	}
	text := strings.Join(strings.Fields(ansi.Strip(view)), " ")
	for _, want := range []string{
		"PID USER AGE CPU% RSS READ/S WRITE/S COMMAND", "71 al�[2Jice 1m 25.0 2.0M – – worker --password=***", "72 0s – – – – [new]",
		"and 28 more", "ended 70 worker at " + now.Format(time.TimeOnly) + " after 1h: exited with status 3",
		"ended 69 old by " + before.Format(time.DateTime) + " after 0s: killed by SIGKILL",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("got\n%s\nwant %q in it", view, want)
		}
	}
	m.Update(tea.WindowSizeMsg{Width: 100, Height: 5})
	if press(m, slices.Repeat([]string{"down"}, 17)...); !strings.Contains(m.View(), "worker") || strings.Contains(m.View(), "PROCS") {
		t.Errorf("got\n%s\nafter scrolling", m.View())
	}
	if press(m, "home"); !strings.Contains(m.View(), "beta") {
		t.Errorf("got\n%s\nat the first line", m.View())
	}
	f.processesErr = errors.New("this listener does not show processes")
	m.Update(m.requestDetail()())
	m.Update(tea.WindowSizeMsg{Width: 100, Height: 24})
	if view := m.View(); !strings.Contains(view, "does not show processes") || !strings.Contains(view, "beta") {
		t.Errorf("got\n%s\nwant the group and the reason", view)
	}
}

// TestWideTerminals checks that the name column leaves space to the history, whose scale is common.
func TestWideTerminals(t *testing.T) {
	m, f := newModel(200, 24)
	f.report.Groups[0].CPUHistory, f.report.Groups[1].CPUHistory = []float64{0, 0.1, 0.5}, []float64{1, 0.5}
	f.report.Machine = &webui.MachineStatus{
		Hostname: "vm", CPUs: ptr(2), CPU: ptr(1.42), MemoryBytes: ptr(uint64(8 << 30)), UsedBytes: ptr(uint64(3 << 30)),
	}
	f.processes.Processes = []webui.Process{{Group: "alpha", Command: "alpha \x1b[2J--x"}}
	m.Update(m.requestReport()())
	view := ansi.Strip(m.View())
	for _, want := range []string{
		"LARGEST PROCESS", "▁▂▅ alpha \ufffd[2J--x ", "vm  CPU 1.4 of 2  memory 3.0G of 8.0G  15 processes, 5 groups",
		"CPU, ≤ 100.0%", "█▅ ", "CPU% ↓",
	} {
		if !strings.Contains(view, want) {
			t.Errorf("got\n%s\nwant %q in it", view, want)
		}
	}
	if l := layoutOf(200, &f.report.Exporter, columnCPU); l.name > maxNameWidth || len(l.columns) != len(columns)-3 {
		t.Errorf("got %+v at 200 columns, want all but those of the network", l)
	}
	for width := range 300 {
		line := row(&f.report.Groups[0], layoutOf(width, &f.report.Exporter, columnCPU), f.report.Time, 1, "command")
		if w := ansi.StringWidth(line); width >= minNameWidth && w != width {
			t.Errorf("got a line of %d cells, want %d", w, width)
		}
	}
}

// TestSummaryFits checks that a narrow terminal omits parts of the first line, and cuts none.
func TestSummaryFits(t *testing.T) {
	r := sampleReport()
	r.Machine = &webui.MachineStatus{Hostname: "vm", CPUs: ptr(2), CPU: ptr(1.4)}
	r.Machine.MemoryBytes, r.Machine.UsedBytes = ptr(uint64(8<<30)), ptr(uint64(3<<30))
	r.FailedExits, r.FailedExitsSeconds, r.Exporter.LostExitEvents = ptr(uint64(105)), ptr(40.2), 826
	for width, want := range map[int]string{
		200: "vm  CPU 1.4 of 2  memory 3.0G of 8.0G  15 processes, 5 groups  105 failed in 40 s  826 lost exit events  bpf, walk 0.0 ms",
		80:  "CPU 1.4 of 2  memory 3.0G of 8.0G  15 processes  105 failed in 40 s",
		40:  "CPU 1.4 of 2  105 failed in 40 s",
		5:   "105 failed in 40 s",
	} {
		if got := summary(&r, 5, width, ""); got != want {
			t.Errorf("%d: got %q, want %q", width, got, want)
		}
	}
	for seconds, want := range map[float64]string{299.9: "5 min", 250: "4 min 10 s", 59.6: "1 min", 0.2: "0 s"} {
		r.FailedExitsSeconds = &seconds
		if got := summary(&r, 5, 200, ""); !strings.Contains(got, " 105 failed in "+want+"  826 ") {
			t.Errorf("got %q, want %q in it", got, want)
		}
	}
}

// TestNoAnswer checks that the first line says since when an exporter does not respond, and that
// rows are dimmed.
func TestNoAnswer(t *testing.T) {
	m, f := newModel(80, 10)
	m.Update(m.requestReport()())
	f.err = errors.New("connection refused")
	m.Update(m.requestReport()())
	lines := strings.Split(m.View(), "\n")
	want := "no answer since " + m.answered.Format("15:04:05") + "  15 processes"
	if m.answered.IsZero() || !strings.HasPrefix(lines[0], want) {
		t.Errorf("got %q, want %q", lines[0], want)
	}
	if !strings.HasPrefix(lines[3], "\x1b[2malpha") {
		t.Errorf("got %q, want a dimmed row", lines[3])
	}
	f.err = nil
	m.Update(m.requestReport()())
	if view := m.View(); strings.Contains(view, "no answer") || strings.Contains(view, "\x1b[2m") {
		t.Errorf("got %q after an answer", view)
	}
}

// TestCommand checks that the name of a process is shown if it is not that of its program.
func TestCommand(t *testing.T) {
	for _, tt := range []struct{ name, command, want string }{
		{"nginx", "/usr/sbin/nginx -g x", "/usr/sbin/nginx -g x"},
		{"nginx", "nginx: worker process", "nginx: worker process"},
		{"bash", "-bash", "-bash"},
		{"a-name-with-15-", "/bin/a-name-with-15-bytes x", "/bin/a-name-with-15-bytes x"},
		{"kthreadd", "[kthreadd]", "[kthreadd]"},
		{"report.py", "/usr/bin/python3 report.py", "(report.py) /usr/bin/python3 report.py"},
		{"a\x1b[2Jb", "/bin/sh", "(a\ufffd[2Jb) /bin/sh"},
	} {
		if got := command(&webui.Process{Name: tt.name, Command: tt.command}); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

// TestUnknownTerminalSize checks that a terminal without a size, such as a serial console, shows the
// groups.
func TestUnknownTerminalSize(t *testing.T) {
	m, _ := newModel(0, 0)
	if view := m.View(); !strings.Contains(view, "beta") {
		t.Errorf("got\n%s\nwant the groups", view)
	}
}
