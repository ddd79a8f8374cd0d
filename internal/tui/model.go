// Package tui shows the groups in a terminal, like top(1) shows processes.
package tui

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/seed57308aee/process_exporter/internal/tui/noquery"
	"github.com/seed57308aee/process_exporter/internal/webui"
)

// The init function of bubbletea has run.
var _ = noquery.Restore()

// A Reporter returns the reports to show.
type Reporter interface {
	Report(ctx context.Context) (webui.Report, error)
	Detail(ctx context.Context, name string) (webui.Report, error)

	// ProcessesOf returns the processes of the groups with a name that use most CPU.
	ProcessesOf(ctx context.Context, name string) (webui.ProcessReport, error)

	// LargestProcesses returns the process with most resident memory of each group.
	LargestProcesses(ctx context.Context) (webui.ProcessReport, error)
}

// Options are the settings of [Run].
type Options struct {
	Reporter Reporter
	Interval time.Duration // between two reports
	First    webui.Report  // the report to show first
	Input    io.Reader
	Output   io.Writer
}

// Run shows the groups until the user quits or ctx ends, and restores the
// terminal.
func Run(ctx context.Context, o Options) error {
	m := &model{ctx: ctx, options: o, report: o.First, answered: time.Now(), sorting: sorting{column: columnCPU}, width: 80, height: 24}
	m.arrange()
	_, err := tea.NewProgram(m, tea.WithContext(ctx), tea.WithAltScreen(), tea.WithInput(o.Input), tea.WithOutput(o.Output)).Run()
	if ctx.Err() != nil { // a signal is a regular end
		return nil
	}
	return err
}

// A model is the state of the screen.
type model struct {
	ctx     context.Context
	options Options

	report webui.Report
	groups []webui.Group // of report, filtered and sorted
	err    error         // error of the last request

	answered time.Time // when report arrived

	commands map[string]string // of the largest process, by group name; only in wide terminals

	sorting      sorting
	filter       string
	editsFilter  bool
	showsHelp    bool
	cursor, top  int // indexes in groups: selected group, first group on the screen
	width        int
	height       int
	detailName   string        // group of the detail view, "" for none
	detailReport *webui.Report // nil until the first response
	detailErr    error
	detailTop    int // first line on the screen

	detailProcesses    *webui.ProcessReport // nil until the first response
	detailProcessesErr error
}

// Messages of bubbletea.
type (
	reportMsg struct {
		report   webui.Report
		err      error
		commands map[string]string
	}
	detailMsg struct {
		name         string
		report       webui.Report
		err          error
		processes    webui.ProcessReport
		processesErr error
	}
	tickMsg struct{}
)

// Init implements [tea.Model].
func (m *model) Init() tea.Cmd { return m.tick() }

func (m *model) tick() tea.Cmd {
	return tea.Tick(m.options.Interval, func(time.Time) tea.Msg { return tickMsg{} })
}

// requestReport returns the command that requests the report, and in wide terminals the largest
// processes. An exporter that does not show processes returns an error for them, which the detail
// view shows. The command runs in its own goroutine, so it reads no fields that a key or a new
// size of the terminal changes.
func (m *model) requestReport() tea.Cmd {
	width, sorted := m.width, m.sorting.column
	return func() tea.Msg {
		r, err := m.options.Reporter.Report(m.ctx)
		if err != nil || layoutOf(width, &r.Exporter, sorted).command == 0 {
			return reportMsg{report: r, err: err}
		}
		commands := make(map[string]string)
		if largest, err := m.options.Reporter.LargestProcesses(m.ctx); err == nil {
			for i := range largest.Processes {
				commands[largest.Processes[i].Group] = command(&largest.Processes[i])
			}
		}
		return reportMsg{r, nil, commands}
	}
}

func (m *model) requestDetail() tea.Cmd {
	name := m.detailName
	return func() tea.Msg {
		r, err := m.options.Reporter.Detail(m.ctx, name)
		p, processesErr := m.options.Reporter.ProcessesOf(m.ctx, name)
		return detailMsg{name, r, err, p, processesErr}
	}
}

// The size of a terminal that does not report its size, such as a serial console.
const defaultWidth, defaultHeight = 80, 24

// Update implements [tea.Model].
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
		if msg.Width <= 0 || msg.Height <= 0 {
			m.width, m.height = defaultWidth, defaultHeight
		}
	case tickMsg:
		if m.detailName != "" {
			return m, tea.Batch(m.requestReport(), m.requestDetail())
		}
		return m, m.requestReport()
	case reportMsg:
		if m.err = msg.err; m.err == nil {
			m.report, m.commands, m.answered = msg.report, msg.commands, time.Now()
			m.arrange()
		}
		return m, m.tick()
	case detailMsg:
		if msg.name == m.detailName {
			if m.detailErr = msg.err; m.detailErr == nil {
				m.detailReport = &msg.report
			}
			m.detailProcesses, m.detailProcessesErr = &msg.processes, msg.processesErr
		}
	case tea.KeyMsg:
		return m, m.handleKeys(msg)
	}
	return m, nil
}

// handleKeys handles one key message, which contains several keys if the user
// types fast.
func (m *model) handleKeys(key tea.KeyMsg) tea.Cmd {
	if key.Type != tea.KeyRunes || len(key.Runes) < 2 {
		return m.handleKey(key)
	}
	var commands []tea.Cmd
	for _, r := range key.Runes {
		commands = append(commands, m.handleKey(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}, Alt: key.Alt}))
	}
	return tea.Batch(commands...)
}

func (m *model) handleKey(key tea.KeyMsg) tea.Cmd {
	name := key.String()
	switch {
	case name == "ctrl+c":
		return tea.Quit
	case m.editsFilter:
		m.editFilter(key)
	case m.showsHelp:
		m.showsHelp = false
	case m.detailName != "":
		m.handleDetailKey(name)
	default:
		return m.handleTableKey(name)
	}
	return nil
}

// handleDetailKey handles a key of the detail view. [model.detailLines] limits the result.
func (m *model) handleDetailKey(name string) {
	switch name {
	case "q", "esc", "enter":
		m.detailName = ""
	case "up", "k":
		m.detailTop--
	case "down", "j":
		m.detailTop++
	case "pgup":
		m.detailTop -= m.rows()
	case "pgdown", " ":
		m.detailTop += m.rows()
	case "home", "g":
		m.detailTop = 0
	}
}

func (m *model) editFilter(key tea.KeyMsg) {
	switch key.Type {
	case tea.KeyEnter:
		m.editsFilter = false
	case tea.KeyEsc:
		m.editsFilter, m.filter = false, ""
	case tea.KeyBackspace:
		if runes := []rune(m.filter); len(runes) > 0 {
			m.filter = string(runes[:len(runes)-1])
		}
	case tea.KeyRunes, tea.KeySpace:
		m.filter += replaceUnprintable(string(key.Runes))
	}
	m.cursor = 0
	m.arrange()
}

// handleTableKey handles a key of the table view.
func (m *model) handleTableKey(name string) tea.Cmd {
	switch name {
	case "q":
		return tea.Quit
	case "?", "h":
		m.showsHelp = true
	case "/":
		m.editsFilter = true
	case "esc":
		m.filter = ""
	case "R":
		m.sorting.reversed = !m.sorting.reversed
	case "n":
		m.sorting = sorting{column: columnName}
	case "enter":
		if m.cursor < len(m.groups) {
			m.detailName, m.detailReport, m.detailErr = m.groups[m.cursor].Name, nil, nil
			m.detailProcesses, m.detailProcessesErr, m.detailTop = nil, nil, 0
			return m.requestDetail()
		}
	default:
		shown := columnsOf(&m.report.Exporter)
		if i := slices.IndexFunc(shown, func(i int) bool { return columns[i].key == name }); i >= 0 {
			m.sorting = sorting{column: shown[i]}
		} else {
			m.moveCursor(name)
		}
	}
	m.arrange()
	return nil
}

// moveCursor handles a key that selects another group. [model.arrange] limits
// the result.
func (m *model) moveCursor(name string) {
	page := max(1, m.rows()-1)
	switch name {
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
	}
}

// arrange filters and sorts. The cursor stays on its line, not on its group.
func (m *model) arrange() {
	m.groups = m.groups[:0]
	filter := strings.ToLower(m.filter)
	for i := range m.report.Groups {
		if g := &m.report.Groups[i]; strings.Contains(strings.ToLower(label(g)), filter) {
			m.groups = append(m.groups, *g)
		}
	}
	m.sorting.sort(m.groups)
	m.cursor = max(0, min(m.cursor, len(m.groups)-1))
}

// rows returns the number of groups that fit on the screen.
func (m *model) rows() int { return max(1, m.height-3) }
