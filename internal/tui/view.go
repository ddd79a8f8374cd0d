package tui

import (
	"fmt"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/seed57308aee/process_exporter/internal/webui"
)

// View implements [tea.Model].
func (m *model) View() string {
	switch {
	case m.showsHelp:
		return m.fit(strings.Split(helpText(), "\n"))
	case m.detailName != "":
		return m.fit(m.detailLines())
	}
	rows := m.rows()
	m.top = max(0, min(m.top, m.cursor, len(m.groups)-rows))
	if m.cursor >= m.top+rows {
		m.top = m.cursor - rows + 1
	}
	lines := []string{summary(&m.report, len(m.groups)), bold(header(m.width, m.sorting))}
	for i := m.top; i < min(m.top+rows, len(m.groups)); i++ {
		line := row(&m.groups[i], m.width, m.report.Time)
		if i == m.cursor {
			line = inverse(line)
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
	return "q quit  / filter  Enter details  c m p t f r w sort  R reverse  ? help"
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

// Terminals without colors support both attributes.
func bold(text string) string    { return "\x1b[1m" + text + "\x1b[0m" }
func inverse(text string) string { return "\x1b[7m" + text + "\x1b[0m" }

func helpText() string {
	lines := []string{
		bold("Keys"), "",
		"q, Ctrl-C  quit",
		"/          edit the filter; Enter applies it, Esc clears it",
		"Enter      show details of the group",
		"R          reverse the order",
		"arrows, PgUp, PgDn, Home, End  select a group", "",
		bold("Sort by"), "",
		"n  name",
	}
	for _, c := range columns {
		lines = append(lines, c.key+"  "+strings.ToLower(c.title))
	}
	return strings.Join(append(lines, "", "Press any key to return."), "\n")
}

// detailLines returns the detail view of a group.
func (m *model) detailLines() []string {
	lines := []string{bold(replaceUnprintable(m.detailName)), ""}
	switch {
	case m.detailErr != nil:
		return append(lines, replaceUnprintable(m.detailErr.Error()), "", "Press Esc to return.")
	case m.detailReport == nil:
		return append(lines, "Loading …")
	}
	for i := range m.detailReport.Groups {
		lines = append(lines, groupLines(&m.detailReport.Groups[i], m.width, m.detailReport.Time)...)
	}
	return append(lines, "Press Esc to return.")
}

func groupLines(g *webui.Group, width int, now webui.Timestamp) []string {
	lines := []string{header(width, sorting{column: len(columns)}), row(g, width, now), ""}
	if g.Rule != nil {
		lines = append(lines, "rule     "+replaceUnprintable(g.Rule.String()))
	}
	for _, state := range []string{"Running", "Sleeping", "Waiting", "Zombie", "Other"} {
		if n := g.States[state]; n > 0 {
			lines = append(lines, fmt.Sprintf("%-9s%d", strings.ToLower(state), n))
		}
	}
	for _, e := range g.ExitCodes {
		lines = append(lines, fmt.Sprintf("exits    %d %s %s", e.Count, replaceUnprintable(e.Reason), replaceUnprintable(e.Code)))
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
