package tui

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/seed57308aee/process_exporter/internal/webui"
)

// View implements [tea.Model].
func (m *model) View() string {
	switch {
	case m.showsHelp:
		return m.fit(strings.Split(helpText(&m.report.Exporter), "\n"))
	case m.detailName != "":
		return m.fit(m.detailLines())
	}
	rows := m.rows()
	m.top = max(0, min(m.top, m.cursor, len(m.groups)-rows))
	if m.cursor >= m.top+rows {
		m.top = m.cursor - rows + 1
	}
	highest := highestCPU(m.groups)
	problem := ""
	if m.err != nil {
		problem = "no answer since " + m.answered.Format(time.TimeOnly)
	}
	l := layoutOf(m.width, &m.report.Exporter, m.sorting.column)
	lines := []string{summary(&m.report, len(m.groups), m.width, problem), bold(header(l, m.sorting, highest))}
	for i := m.top; i < min(m.top+rows, len(m.groups)); i++ {
		line := row(&m.groups[i], l, m.report.Time, highest, m.commands[m.groups[i].Name])
		if len(m.groups[i].ExpectedPortsNotListening) > 0 {
			line = red(line)
		}
		if i == m.cursor {
			line = inverse(line)
		} else if m.err != nil || m.groups[i].Procs == 0 {
			line = faint(line)
		}
		lines = append(lines, line)
	}
	for len(lines) < m.height-1 {
		lines = append(lines, "")
	}
	return m.fit(append(lines, m.status()))
}

// status returns the last line.
func (m *model) status() string {
	switch {
	case m.editsFilter:
		return "filter: " + m.filter + "_"
	case m.err != nil:
		return "update failed: " + replaceUnprintable(m.err.Error())
	case m.filter != "":
		return "filter: " + m.filter + "  (Esc clears it)"
	}
	return "q quit  / filter  Enter processes  c m p r w d t f sort  R reverse  ? help"
}

// fit truncates lines to the size of the terminal.
func (m *model) fit(lines []string) string {
	if len(lines) > m.height {
		lines = lines[:m.height]
	}
	for i, line := range lines {
		lines[i] = ansi.Truncate(line, m.width, "")
	}
	return strings.Join(lines, "\n")
}

// Terminals without colors support these attributes.
func bold(text string) string    { return "\x1b[1m" + text + "\x1b[0m" }
func faint(text string) string   { return "\x1b[2m" + text + "\x1b[0m" }
func inverse(text string) string { return "\x1b[7m" + text + "\x1b[0m" }

// red is the color of failures. It does not reset other attributes.
func red(text string) string { return "\x1b[31m" + text + "\x1b[39m" }

// helpText returns the help about the columns of an exporter.
func helpText(e *webui.ExporterStatus) string {
	lines := []string{
		bold("Keys"), "",
		"q, Ctrl-C  quit",
		"/          edit the filter; Enter applies it, Esc clears it",
		"Enter      show the processes of the group; arrows scroll",
		"R          reverse the order",
		"arrows, PgUp, PgDn, Home, End  select a group", "",
		bold("Sort by"), "",
		"n  name",
	}
	for _, i := range columnsOf(e) {
		lines = append(lines, columns[i].key+"  "+strings.ToLower(columns[i].title))
	}
	return strings.Join(append(lines, "", "Press any key to return."), "\n")
}

// detailLines returns the visible lines of the detail view of a group.
func (m *model) detailLines() []string {
	lines := []string{bold(replaceUnprintable(m.detailName)), ""}
	switch {
	case m.detailErr != nil:
		return append(lines, replaceUnprintable(m.detailErr.Error()), "", "Press Esc to return.")
	case m.detailReport == nil:
		return append(lines, "Loading …")
	}
	l := layoutOf(m.width, &m.detailReport.Exporter, m.sorting.column)
	for i := range m.detailReport.Groups {
		g := &m.detailReport.Groups[i]
		highest := highestCPU(m.detailReport.Groups)
		lines = append(lines, header(l, sorting{column: len(columns)}, highest),
			row(g, l, m.detailReport.Time, highest, m.commands[g.Name]))
		if g.Rule != nil {
			lines = append(lines, "rule     "+replaceUnprintable(g.Rule.String()))
		}
		lines = append(lines, "")
	}
	lines = append(lines, m.processLines()...)
	for i := range m.detailReport.Groups {
		lines = append(lines, groupLines(&m.detailReport.Groups[i])...)
	}
	rows := max(1, m.height-1)
	m.detailTop = max(0, min(m.detailTop, len(lines)-rows))
	lines = lines[m.detailTop:min(len(lines), m.detailTop+rows)]
	return append(lines, "Press Esc to return.")
}

// processLines returns the running and the ended processes of the detail view.
func (m *model) processLines() []string {
	if m.detailProcessesErr != nil {
		return []string{replaceUnprintable(m.detailProcessesErr.Error()), ""}
	}
	r := m.detailProcesses
	if r == nil {
		return nil
	}
	lines := []string{bold(processHeader)}
	for i := range r.Processes {
		lines = append(lines, processRow(&r.Processes[i], r.Time))
	}
	if more := r.Total - len(r.Processes); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	lines = append(lines, "")
	for _, e := range r.Ended {
		when := "at"
		if e.Approximate {
			when = "by"
		}
		text := fmt.Sprintf("ended    %s %s  %s %s after %s: %s", padLeft(strconv.Itoa(e.PID), 7), replaceUnprintable(e.Name), when,
			moment(e.End.Time, r.Time.Time), age(e.End.Sub(e.Start.Time).Seconds()), replaceUnprintable(e.Text()))
		lines = append(lines, text)
	}
	return append(lines, "")
}

// moment returns the local time of t, with its date if the day is not that of now.
func moment(t, now time.Time) string {
	t, now = t.Local(), now.Local()
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format(time.TimeOnly)
	}
	return t.Format(time.DateTime)
}

const processHeader = "    PID USER         AGE    CPU%      RSS    READ/S   WRITE/S COMMAND"

// processRow returns the line of a process in a report of time now.
func processRow(p *webui.Process, now webui.Timestamp) string {
	return strings.Join([]string{
		padLeft(strconv.Itoa(p.PID), 7), padRight(replaceUnprintable(p.User), 10), padLeft(age(now.Sub(p.Start.Time).Seconds()), 5),
		padLeft(optional(p.CPU, percent), 7), padLeft(optional(p.ResidentBytes, size), 8), padLeft(optional(p.ReadBytes, size), 9),
		padLeft(optional(p.WriteBytes, size), 9), command(p),
	}, " ")
}

// command returns the command line of a process, after its name if that is not the base name of
// the program.
func command(p *webui.Process) string {
	text := replaceUnprintable(p.Command)
	if p.HasOwnName() {
		return "(" + replaceUnprintable(p.Name) + ") " + text
	}
	return text
}

// optional returns the text of a value, or that of an unknown value.
func optional[T uint64 | float64](v *T, text func(value, now float64) string) string {
	if v == nil {
		return unknown
	}
	return text(float64(*v), 0)
}

// groupLines returns the states, sockets, exits and threads of a group.
func groupLines(g *webui.Group) []string {
	var lines []string
	for _, state := range []string{"Running", "Sleeping", "Waiting", "Zombie", "Other"} {
		if n := g.States[state]; n > 0 {
			lines = append(lines, fmt.Sprintf("%-9s%d", strings.ToLower(state), n))
		}
	}
	for _, state := range slices.Sorted(maps.Keys(g.ConnectionsByState)) {
		lines = append(lines, fmt.Sprintf("tcp      %d %s", g.ConnectionsByState[state], replaceUnprintable(state)))
	}
	for _, p := range g.ListeningPorts {
		port := replaceUnprintable(p.Protocol + "/" + p.Port)
		lines = append(lines, fmt.Sprintf("listens  %s in %s", port, count(p.Procs, "process", "processes")))
	}
	for _, p := range g.ExpectedPortsNotListening {
		lines = append(lines, red("listens  "+replaceUnprintable(p)+" in no process, expected"))
	}
	for _, e := range g.ExitCounts {
		lines = append(lines, fmt.Sprintf("exits    %d %s", e.Count, replaceUnprintable(e.Text())))
	}
	for _, t := range g.ThreadNames {
		cpu := unknown
		if t.CPU != nil {
			cpu = percent(*t.CPU, 0) + "%"
		}
		lines = append(lines, fmt.Sprintf("thread   %s %s %s",
			padRight(replaceUnprintable(t.Name), minNameWidth), padLeft(fmt.Sprint(t.Count), 6), padLeft(cpu, 8)))
	}
	return append(lines, "")
}
