package grouping

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/platform"
)

// A howtoExample is a configuration of docs/howto.md, and the rows of the table of
// processes below it, by column.
type howtoExample struct {
	section, config string
	processes       []map[string]string
}

// howtoExamples returns the examples of docs/howto.md.
func howtoExamples(t *testing.T) (all []howtoExample) {
	t.Helper()
	text, err := os.ReadFile("../docs/howto.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split(string(text), "\n## ")[1:] {
		section, _, _ := strings.Cut(part, "\n")
		for _, block := range strings.Split(part, "```yaml\n")[1:] {
			config, rest, _ := strings.Cut(block, "```\n")
			all = append(all, howtoExample{section, config, tableRows(rest)})
		}
	}
	return all
}

// tableRows returns the rows of the table at the start of a text, by column.
func tableRows(text string) (rows []map[string]string) {
	var header []string
	for line := range strings.Lines(strings.TrimLeft(text, "\n")) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		cells := strings.Split(strings.Trim(line, "|\n"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case header == nil:
			header = cells
		case strings.HasPrefix(cells[0], "---"):
		default:
			row := make(map[string]string)
			for i, name := range header[:min(len(header), len(cells))] {
				row[name] = cells[i]
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// rewritten matches command lines that a program has written as one argument.
var rewritten = regexp.MustCompile(`^(?:[\w.-]+: |\[|redis-server )`)

// howtoProcess returns the process of a row.
func howtoProcess(t *testing.T, row map[string]string) *platform.Identity {
	t.Helper()
	plain := func(column string) string { return strings.Trim(row[column], "`") }
	id := &platform.Identity{ID: platform.ID{PID: 10, Start: 5}, Comm: plain("Process name")}
	if id.Comm == "" || len(id.Comm) > 15 {
		t.Errorf("got process name %q, want 1 to 15 bytes", id.Comm)
	}
	id.Args = strings.Fields(plain("Command line"))
	if rewritten.MatchString(plain("Command line")) {
		id.Args = []string{plain("Command line")}
	}
	if group := plain("Control group"); group != "" {
		id.Cgroups = []string{group}
	}
	for parent := range strings.SplitSeq(row["Parents"], ", ") {
		if parent != "" {
			id.Ancestors = append(id.Ancestors, strings.Trim(parent, "`"))
		}
	}
	if pid := plain("PID"); pid != "" {
		number, err := strconv.Atoi(pid)
		if err != nil {
			t.Fatal(err)
		}
		id.PID = number
	}
	return id
}

// TestHowtoProcesses checks that each configuration of docs/howto.md has a table of
// processes, and that it assigns them to the groups and labels of the table. Each
// rule except that for all other processes must match at least one of them.
func TestHowtoProcesses(t *testing.T) {
	examples := howtoExamples(t)
	if len(examples) < 18 {
		t.Fatalf("got %d examples, want at least 18", len(examples))
	}
	for _, example := range examples {
		t.Run(example.section, func(t *testing.T) {
			c, err := Parse("howto.md", []byte(example.config))
			if err != nil {
				t.Fatal(err)
			}
			matched := make(map[*Rule]bool)
			for _, row := range example.processes {
				id := howtoProcess(t, row)
				m := c.Match(id)
				matched[m.Rule] = true
				checkHowtoRow(t, row, m, c.LabelNames())
			}
			for _, rule := range c.Rules() {
				// The last rule of many examples is for all other processes.
				if !matched[rule] && rule.Template != "{{.Comm}}" {
					t.Errorf("got no process for rule %d, want one in\n%s", rule.Position, example.config)
				}
			}
			if len(example.processes) == 0 {
				t.Errorf("got no table of processes after\n%s", example.config)
			}
		})
	}
}

// checkHowtoRow compares a match with the column Group and the columns of labels.
func checkHowtoRow(t *testing.T, row map[string]string, m Match, labels []string) {
	t.Helper()
	switch want := row["Group"]; want {
	case "that of its parent":
		if m.Rule != nil {
			t.Errorf("%s: got rule %v, group %q, want no rule", row["Command line"], m.Rule, m.Group)
		}
	case "none":
		if m.OK || m.Rule == nil {
			t.Errorf("%s: got group %q, want a rule that ignores it", row["Command line"], m.Group)
		}
	default:
		if !m.OK || "`"+m.Group+"`" != want || m.TemplateFailed {
			t.Errorf("%s: got group %q, want %s", row["Command line"], m.Group, want)
		}
	}
	for column, want := range row {
		if i := slices.Index(labels, column); i >= 0 && m.Labels[i] != strings.Trim(want, "`") {
			t.Errorf("%s: got label %s %q, want %s", row["Command line"], column, m.Labels[i], want)
		}
	}
}
