// Package tui shows the groups of processes in a terminal, the way top(1) shows
// processes.
package tui

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"

	"github.com/seed57308aee/process_exporter/internal/webui"
)

// A Reporter tells what to show.
type Reporter interface {
	Report(ctx context.Context) (webui.Report, error)
	Detail(ctx context.Context, name string) (webui.Report, error)
}

// Options says what to show, and where.
type Options struct {
	Reporter Reporter
	Interval time.Duration // from one report to the next
	First    webui.Report  // what is shown at once
	Input    io.Reader
	Output   io.Writer
}

// Run shows the groups until the user quits or ctx ends, and leaves the terminal
// as it was.
func Run(ctx context.Context, o Options) error {
	m := &model{ctx: ctx, options: o, report: o.First, by: 1, width: 80, height: 24}
	m.arrange()
	_, err := tea.NewProgram(m, tea.WithContext(ctx), tea.WithAltScreen(), tea.WithInput(o.Input), tea.WithOutput(o.Output)).Run()
	if ctx.Err() != nil { // a signal ended it, as it should
		return nil
	}
	return err
}

// A model is what the user sees.
type model struct {
	ctx     context.Context
	options Options

	report webui.Report
	groups []webui.Group // of report, filtered and sorted
	err    error         // why there is no newer report

	by       int // column
	reversed bool
	filter   string
	typing   bool // the filter
	help     bool

	cursor, top   int // of groups: chosen, and first on the screen
	width, height int

	detail  string        // the group that is looked at, empty for none
	details *webui.Report // of it, nil until it comes
	gone    error         // why it does not come
}

type (
	news struct {
		report webui.Report
		err    error
	}
	detailNews struct {
		name   string
		report webui.Report
		err    error
	}
	due struct{}
)

// Init implements [tea.Model].
func (m *model) Init() tea.Cmd { return m.wait() }

func (m *model) wait() tea.Cmd {
	return tea.Tick(m.options.Interval, func(time.Time) tea.Msg { return due{} })
}

func (m *model) ask() tea.Msg {
	r, err := m.options.Reporter.Report(m.ctx)
	return news{r, err}
}

func (m *model) askDetail() tea.Cmd {
	name := m.detail
	return func() tea.Msg {
		r, err := m.options.Reporter.Detail(m.ctx, name)
		return detailNews{name, r, err}
	}
}

// Update implements [tea.Model].
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case due:
		if m.detail != "" {
			return m, tea.Batch(m.ask, m.askDetail())
		}
		return m, m.ask
	case news:
		if m.err = msg.err; m.err == nil {
			m.report = msg.report
			m.arrange()
		}
		return m, m.wait()
	case detailNews:
		if msg.name == m.detail {
			if m.gone = msg.err; m.gone == nil {
				m.details = &msg.report
			}
		}
	case tea.KeyMsg:
		return m, m.pressAll(msg)
	}
	return m, nil
}

// pressAll does what a key says, or several that came so fast that they count as
// one.
func (m *model) pressAll(key tea.KeyMsg) tea.Cmd {
	if key.Type != tea.KeyRunes || len(key.Runes) < 2 {
		return m.press(key)
	}
	var all []tea.Cmd
	for _, r := range key.Runes {
		all = append(all, m.press(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}, Alt: key.Alt}))
	}
	return tea.Batch(all...)
}

// press does what a key says.
func (m *model) press(key tea.KeyMsg) tea.Cmd {
	name := key.String()
	switch {
	case name == "ctrl+c":
		return tea.Quit
	case m.typing:
		m.typeFilter(key)
	case m.help:
		m.help = false
	case m.detail != "":
		if name == "q" || name == "esc" || name == "enter" {
			m.detail = ""
		}
	default:
		return m.command(name)
	}
	return nil
}

func (m *model) typeFilter(key tea.KeyMsg) {
	switch key.Type {
	case tea.KeyEnter:
		m.typing = false
	case tea.KeyEsc:
		m.typing, m.filter = false, ""
	case tea.KeyBackspace:
		if runes := []rune(m.filter); len(runes) > 0 {
			m.filter = string(runes[:len(runes)-1])
		}
	case tea.KeyRunes, tea.KeySpace:
		m.filter += visible(string(key.Runes))
	}
	m.cursor = 0
	m.arrange()
}

// command does what a key says in the table.
func (m *model) command(name string) tea.Cmd {
	page := max(1, m.rows()-1)
	switch name {
	case "q":
		return tea.Quit
	case "?", "h":
		m.help = true
	case "/":
		m.typing = true
	case "esc":
		m.filter = ""
	case "R":
		m.reversed = !m.reversed
	case "n":
		m.by, m.reversed = byName, false
	case "up", "k":
		m.cursor--
	case "down", "j":
		m.cursor++
	case "pgup":
		m.cursor -= page
	case "pgdown", " ":
		m.cursor += page
	case "home", "g":
		m.cursor = 0
	case "end", "G":
		m.cursor = len(m.groups) - 1
	case "enter":
		if m.cursor < len(m.groups) {
			m.detail, m.details, m.gone = m.groups[m.cursor].Name, nil, nil
			return m.askDetail()
		}
	default:
		if i := slices.IndexFunc(columns, func(c column) bool { return c.key == name }); i >= 0 {
			m.by, m.reversed = i, false
		}
	}
	m.arrange()
	return nil
}

// arrange filters and sorts. The cursor stays in its line: who looks at the top
// wants to see what is on top.
func (m *model) arrange() {
	m.groups = m.groups[:0]
	wanted := strings.ToLower(m.filter)
	for i := range m.report.Groups {
		if g := &m.report.Groups[i]; strings.Contains(strings.ToLower(label(g)), wanted) {
			m.groups = append(m.groups, *g)
		}
	}
	order(m.groups, m.by, m.reversed)
	m.cursor = max(0, min(m.cursor, len(m.groups)-1))
}

// rows returns how many groups there is room for.
func (m *model) rows() int { return max(1, m.height-3) }

// View implements [tea.Model].
func (m *model) View() string {
	switch {
	case m.help:
		return m.fit(strings.Split(helpText(), "\n"))
	case m.detail != "":
		return m.fit(m.detailLines())
	}
	rows := m.rows()
	m.top = max(0, min(m.top, m.cursor, len(m.groups)-rows))
	if m.cursor >= m.top+rows {
		m.top = m.cursor - rows + 1
	}
	lines := []string{summary(&m.report, len(m.groups)), bold(header(m.width, m.by, m.reversed))}
	for i := m.top; i < min(m.top+rows, len(m.groups)); i++ {
		line := row(&m.groups[i], m.width, m.report.Time)
		if i == m.cursor {
			line = reverse(line)
		}
		lines = append(lines, line)
	}
	for len(lines) < m.height-1 {
		lines = append(lines, "")
	}
	return m.fit(append(lines, m.status()))
}

func (m *model) status() string {
	switch {
	case m.typing:
		return "filter: " + m.filter + "_"
	case m.err != nil:
		return "no news: " + visible(m.err.Error())
	case m.filter != "":
		return "filter: " + m.filter + "  (Esc clears it)"
	}
	return "q quit  / filter  Enter details  c m p t f r w sort  R reverse  ? help"
}

// fit cuts lines to the size of the terminal.
func (m *model) fit(lines []string) string {
	if len(lines) > m.height {
		lines = lines[:m.height]
	}
	for i, line := range lines {
		lines[i] = ansi.Truncate(line, m.width, "")
	}
	return strings.Join(lines, "\n")
}

// Terminals without colors can do both.
func bold(text string) string    { return "\x1b[1m" + text + "\x1b[0m" }
func reverse(text string) string { return "\x1b[7m" + text + "\x1b[0m" }

func helpText() string {
	lines := []string{bold("Keys"), "", "q, Ctrl-C  quit", "/          type a filter; Enter keeps it, Esc clears it", "Enter      details of the group",
		"R          reverse the order", "arrows, PgUp, PgDn, Home, End", "", bold("Sort by"), "", "n  name"}
	for _, c := range columns {
		lines = append(lines, c.key+"  "+strings.ToLower(c.title))
	}
	return strings.Join(append(lines, "", "Any key goes back."), "\n")
}

// detailLines shows the group that is looked at.
func (m *model) detailLines() []string {
	lines := []string{bold(visible(m.detail)), ""}
	switch {
	case m.gone != nil:
		return append(lines, visible(m.gone.Error()), "", "Esc goes back.")
	case m.details == nil:
		return append(lines, "Looking …")
	}
	for i := range m.details.Groups {
		lines = append(lines, groupLines(&m.details.Groups[i], m.width, m.details.Time)...)
	}
	return append(lines, "Esc goes back.")
}

func groupLines(g *webui.Group, width int, now time.Time) []string {
	lines := []string{header(width, len(columns), false), row(g, width, now), ""}
	if g.Rule != "" {
		lines = append(lines, "rule     "+visible(g.Rule))
	}
	for _, state := range []string{"Running", "Sleeping", "Waiting", "Zombie", "Other"} {
		if n := g.States[state]; n > 0 {
			lines = append(lines, fmt.Sprintf("%-9s%d", strings.ToLower(state), n))
		}
	}
	for _, e := range g.ExitCodes {
		lines = append(lines, fmt.Sprintf("ended    %d by %s %s", e.Count, visible(e.Reason), visible(e.Code)))
	}
	for _, t := range g.ThreadNames {
		cpu := unknown
		if t.CPU != nil {
			cpu = percent(*t.CPU) + "%"
		}
		lines = append(lines, fmt.Sprintf("thread   %s %s %s", left(visible(t.Name), nameWidth), right(fmt.Sprint(t.Count), 6), right(cpu, 8)))
	}
	return append(lines, "")
}
