package tui

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"

	"github.com/seed57308aee/process_exporter/internal/webui"
)

func ptr[T any](v T) *T { return &v }

var now = time.Unix(1_000_000, 0)

func sample() webui.Report {
	return webui.Report{Time: now, Interval: 2, Exporter: webui.Exporter{Source: "bpf", ScrapeSuccess: true}, Groups: []webui.Group{
		{Name: "alpha", Procs: 1, CPU: ptr(0.5), ResidentBytes: ptr(uint64(3 << 20)), OldestStart: ptr(now.Add(-90 * time.Second))},
		{Name: "beta", Procs: 7, CPU: ptr(1.25), ResidentBytes: ptr(uint64(1 << 20)), Labels: map[string]string{"pod": "web", "app": "x"}},
		{Name: "gamma", Procs: 3},
		{Name: "del\x1b[2Jta\u202e", Procs: 2, CPU: ptr(0.0)},
		{Name: "日本語の名前はとても長いのですよ", Procs: 2, CPU: ptr(0.001)},
	}}
}

// fake answers with what the test gives it.
type fake struct {
	report webui.Report
	err    error
}

func (f *fake) Report(context.Context) (webui.Report, error)         { return f.report, f.err }
func (f *fake) Detail(context.Context, string) (webui.Report, error) { return f.report, f.err }

func newModel(width, height int) (*model, *fake) {
	f := &fake{report: sample()}
	m := &model{ctx: context.Background(), options: Options{Reporter: f, Interval: time.Second}, report: f.report, by: 1}
	m.Update(tea.WindowSizeMsg{Width: width, Height: height})
	m.arrange()
	return m, f
}

// press sends keys, by what bubbletea calls them or as runes, and what they cause.
func press(m *model, keys ...string) (quit bool) {
	special := map[string]tea.KeyType{"enter": tea.KeyEnter, "esc": tea.KeyEsc, "down": tea.KeyDown, "up": tea.KeyUp, "end": tea.KeyEnd,
		"home": tea.KeyHome, "pgdown": tea.KeyPgDown, "ctrl+c": tea.KeyCtrlC, "backspace": tea.KeyBackspace}
	for _, key := range keys {
		msg := tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(key)}
		if kind, ok := special[key]; ok {
			msg = tea.KeyMsg{Type: kind}
		}
		if _, cmd := m.Update(msg); cmd != nil {
			caused := cmd()
			if _, ok := caused.(tea.QuitMsg); ok {
				return true
			}
			m.Update(caused)
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
	const strange, japanese = "del\ufffd[2Jta\ufffd", "日本語の名前はとても長いのですよ"
	for _, tt := range []struct {
		keys []string
		want string
	}{
		{nil, "beta alpha " + japanese + " " + strange + " gamma"},
		{[]string{"R"}, strange + " " + japanese + " alpha beta gamma"},
		{[]string{"n"}, "alpha beta " + strange + " gamma " + japanese},
		{[]string{"p"}, "beta gamma " + strange + " " + japanese + " alpha"},
		{[]string{"m"}, "alpha beta " + strange + " gamma " + japanese},
		{[]string{"/", "E", "T", "A", "enter"}, "beta"},
		{[]string{"/", "p", "o", "d", "=", "enter"}, "beta"},
		{[]string{"/", "x", "y", "backspace", "backspace", "g", "a", "m", "enter"}, "gamma"},
		{[]string{"/gam", "enter"}, "gamma"}, // typed fast
		{[]string{"/", "q", "esc"}, "beta alpha " + japanese + " " + strange + " gamma"},
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
			t.Errorf("%q: goes on", keys)
		}
	}
}

// TestView keeps to the size of the terminal, whatever names and sizes there are.
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
						t.Errorf("got %q, want nothing that a terminal obeys", line)
					}
				}
			}
		}
	}
	m, _ := newModel(80, 24)
	view := strings.Join(strings.Fields(ansi.Strip(m.View())), " ")
	for _, want := range []string{"bpf 15 processes, 5 groups", "alpha 1 50.0 3.0M – –", "gamma 3 – – –", "beta app=x pod=web 7 125.0"} {
		if !strings.Contains(view, want) {
			t.Errorf("got\n%s\nwant %q in it", view, want)
		}
	}
}

// TestNews shows what is new, and keeps the last table where there is nothing.
func TestNews(t *testing.T) {
	m, f := newModel(80, 24)
	f.report.Groups = f.report.Groups[:1]
	m.Update(m.ask())
	if names(m) != "alpha" {
		t.Errorf("got %q", names(m))
	}
	f.err = errors.New("connection refused\x1b[31m")
	m.Update(m.ask())
	if view := m.View(); names(m) != "alpha" || !strings.Contains(view, "no news: connection refused\ufffd") {
		t.Errorf("got %q", view)
	}
	press(m, "enter")
	if view := m.View(); !strings.Contains(view, "connection refused") {
		t.Errorf("got %q", view)
	}
	f.err = nil
	m.Update(m.askDetail()())
	if view := m.View(); !strings.Contains(view, "alpha") || strings.Contains(view, "refused") {
		t.Errorf("got %q", view)
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
	}{{[]string{"down", "down", "up"}, 1}, {[]string{"end"}, 99}, {[]string{"down"}, 99}, {[]string{"home", "up"}, 0}, {[]string{"pgdown"}, 20}} {
		press(m, tt.keys...)
		if m.cursor != tt.want {
			t.Errorf("%q: got %d, want %d", tt.keys, m.cursor, tt.want)
		}
		if !strings.Contains(m.View(), fmt.Sprintf("\x1b[7mg%02d", tt.want)) {
			t.Errorf("%q: the chosen group is not on the screen", tt.keys)
		}
	}
}

func TestUnits(t *testing.T) {
	for v, want := range map[float64]string{0: "0B", 999: "999B", 1000: "1.0K", 1 << 20: "1.0M", 5 << 30: "5.0G"} {
		if got := bytes(v); got != want {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	}
	for d, want := range map[time.Duration]string{-time.Second: "0s", 59 * time.Second: "59s", time.Minute: "1m", 25 * time.Hour: "1d"} {
		if got := age(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}
