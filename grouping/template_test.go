package grouping

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/seed57308aee/process_exporter/platform"
)

func TestTemplates(t *testing.T) {
	const optional = `- {cmdline: ['java(?: -Dname=(?P<n>\S+))? -jar'], name: 'j:{{.Matches.n}}'}`
	runMatchTests(t, []matchTest{
		{"map of captures", "- {cmdline: ['-jar'], name: '{{.Matches}}'}", process("java", "java", "-jar", "a.jar"), "map[:-jar]"},
		{"unknown capture", "- {comm: [java], name: '{{.Comm}}:{{.Matches.Nope}}'}", process("java", "java"), "java:<no value>"},
		{"unknown capture of several", "- {cmdline: [java], name: '{{.Comm}}:{{.Matches.Nope}}'}", process("java", "java"), "java:<no value>"},
		{"empty capture", optional, process("java", "java", "-jar"), "j:"},
		{"optional capture", optional, process("java", "java", "-Dname=x", "-jar"), "j:x"},
		{"last unnamed capture", `- {cmdline: ['(-jar) (\S+)'], name: '{{index .Matches ""}}'}`,
			process("java", "java", "-jar", "a.jar"), "a.jar"},
		{"text before an error", "- {comm: [java], name: 'pre-{{.Bogus}}-post'}", process("java", "java"), "pre-"},
		{"no text before an error", "- {comm: [java], name: '{{.Bogus}}'}", process("java", "java"), ""},
		{"empty result", "- {comm: [java], name: '{{if false}}x{{end}}'}", process("java", "java"), ""},
		{"start time", "- {comm: [java], name: '{{.StartTime}}'}", process("java", "java"), "2023-11-14 22:13:21 +0000 UTC"},
		{"method of the start time", "- {comm: [java], name: '{{.StartTime.Unix}}'}", process("java", "java"), "1700000001"},
		{"cgroups", "- {comm: [java], name: '{{.Cgroups}} {{index .Cgroups 0}} {{len .Cgroups}}'}",
			process("java", "java"), "[/a.scope] /a.scope 1"},
		{"no cgroups", "- {comm: [java], name: '{{.Cgroups}} {{len .Cgroups}}'}", &platform.Identity{Comm: "java"}, "[] 0"},
		{"cgroup index out of range", "- {comm: [java], name: 'a{{index .Cgroups 0}}b'}", &platform.Identity{Comm: "java"}, "a"},
		{"user without name", "- {comm: [java], name: '{{.Username}}'}", process("java", "java"), "1000"},
		{"zombie", "- comm: [zomb]", process("zomb"), "zomb"},
		{"name with a slash", "- comm: [kworker/0:1]", process("kworker/0:1"), "kworker/0:1"},
		{"empty argv[0]", "- comm: [p]", process("p", ""), "."},
		{"null name", "- {comm: [p], name: }", process("p", "/bin/q"), "q"},
		{"empty name", "- {comm: [p], name: ''}", process("p", "/bin/q"), "q"},
		{"number as name", "- {comm: [p], name: 007}", process("p", "/bin/q"), "007"},
		{"pid", "- {comm: [p], name: '{{.Comm}}:{{.PID}}'}", process("p"), "p:42"},
		{"builtins", `- {comm: [p], name: '{{printf "%s-%05d" (slice .ExeFull 1 4) .PID}}{{if and (eq .Comm "p") (gt .PID 1)}}!{{end}}'}`,
			process("p", "/bin/q"), "bin-00042!"},
		{"two rules with one name", "- {name: same, comm: [a]}\n- {name: same, comm: [b]}", process("b"), "same"},
		{"invalid UTF-8", "- {comm: [p], name: '{{.ExeBase}}'}", process("p", "/bin/caf\xe9"), "caf\uFFFDe9"},
	})
}

func TestTemplateFailed(t *testing.T) {
	tests := []struct {
		name, template string
		want           bool
	}{
		{"no error", "{{.Comm}}", false},
		{"empty", "{{if false}}x{{end}}", false},
		{"no such field", "{{.Bogus}}", true},
		{"index", "{{index .Cgroups 99}}", true},
		{"slice", "{{slice .Comm 0 99}}", true},
		{"nil location", "{{.StartTime.In nil}}", true},
		{"infinite recursion", `{{define "a"}}{{template "a"}}{{end}}{{template "a"}}`, true},
		{"wide recursion", recursion(40), true},
		{"long loop", "{{range 999999999999}}{{end}}", true},
		{"nested loops", "{{range 9999}}{{range 9999}}{{end}}{{end}}", true},
		{"repeated doubling", "{{$x := .Comm}}{{range 60}}{{$x = print $x $x}}{{end}}{{$x}}", true},
		{"repeated quoting", `{{$x := "\\"}}{{range 60}}{{$x = js $x}}{{end}}{{$x}}`, true},
		{"wide padding", `{{printf "%0900000000d" 1}}`, true},
		{"wide padding by argument", `{{printf "%*d" 900000000 1}}`, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tmpl, err := parseTemplate(tt.template)
			if err != nil {
				t.Fatal(err)
			}
			got := tmpl.render(&candidate{id: process("java", "java")})
			if got.TemplateFailed != tt.want || !got.OK || len(got.Group) > maxNameBytes {
				t.Errorf("got %+v, want TemplateFailed %v", got, tt.want)
			}
		})
	}
}

// recursion returns a template that executes 2^n templates and prints nothing.
func recursion(n int) string {
	text := `{{define "t0"}}{{end}}`
	for i := range n {
		text += fmt.Sprintf(`{{define "t%d"}}{{template "t%d"}}{{template "t%d"}}{{end}}`, i+1, i, i)
	}
	return text + fmt.Sprintf(`{{template "t%d"}}`, n)
}

// TestLongName checks that a name of megabytes is cut between two characters.
func TestLongName(t *testing.T) {
	c := mustParse(t, "process_names:\n- {cmdline: ['(?P<all>.*)'], name: 'x{{.Matches.all}}'}")
	got := c.Match(process("p", strings.Repeat("é", 1<<20)))
	if want := "x" + strings.Repeat("é", 495) + "~"; len(got.Group) != len(want)+32 || !strings.HasPrefix(got.Group, want) ||
		!got.TemplateFailed {
		t.Errorf("got %d bytes, failed %v: %.1100q, want %d bytes that begin with %.20q",
			len(got.Group), got.TemplateFailed, got.Group, len(want)+32, want)
	}
	if !utf8.ValidString(got.Group) {
		t.Error("got a name that is cut within a character")
	}
}

func TestPrintf(t *testing.T) {
	tests := []struct {
		name, format string
		args         []any
		ok           bool
	}{
		{"plain", "a%sb%%", []any{"x"}, true},
		{"width", "%-20.3s|%+05d", []any{"abcdef", 7}, true},
		{"star", "%*d", []any{9, 1}, true},
		{"index", "%[2]*[1]d", []any{1, 9}, true},
		{"widest", "%4096d", []any{1}, true},
		{"too wide", "%4097d", []any{1}, false},
		{"star too wide", "%*d", []any{4097, 1}, false},
		{"too wide, left-aligned", "%*d", []any{-4097, 1}, false},
		{"unsigned star", "%*d", []any{uint8(9), 1}, true},
		{"too precise", "%.4097f", []any{1.5}, false},
		{"star too precise", "%.*f", []any{4097, 1.5}, false},
		{"large argument", "%d", []any{1 << 40}, true},
		{"large argument after a star", "%*d", []any{2, 1 << 40}, true},
		{"second verb", "%d%*d", []any{1, 4097, 1}, false},
		{"percent takes no argument", "%%%*d", []any{4097, 1}, false},
		{"index out of range", "%[3]d%*d", []any{9999, 1}, false},
		{"signed index", "%[+1]d", []any{1}, false},
		{"open index", "%[1", []any{1}, false},
		{"width after index", "%[1]9d", []any{1}, false},
		{"too few arguments", "%*d", nil, true},
		{"star of a string", "%*d", []any{"x", 1}, true},
		{"cut short", "%", nil, true},
		{"long format", strings.Repeat("%d", maxFormat), nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := boundedPrintf(tt.format, tt.args...)
			if (err == nil) != tt.ok {
				t.Fatalf("got error %v, want success %v", err, tt.ok)
			}
			if want := fmt.Sprintf(tt.format, tt.args...); tt.ok && got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// FuzzPrintf checks that formats which pass checkFormat produce at most the widths and
// precisions that it allows.
func FuzzPrintf(f *testing.F) {
	for _, format := range []string{"%5d%[2]*.[1]*[3]f", "%*[2]d%s", "%[9]d%*d", "%!%%.*", "%[1]*d%[x]d"} {
		f.Add(format, 3, 100_000, "x")
	}
	f.Fuzz(func(t *testing.T, format string, a, b int, c string) {
		args := []any{a, b, c}
		if len(c) > 100 || checkFormat(format, args) != nil {
			return
		}
		most := len(format) + strings.Count(format, "%")*(2*maxFormat+1000) + 1000
		if got := len(fmt.Sprintf(format, args...)); got > most {
			t.Errorf("%q of %v: got %d bytes, want at most %d", format, args, got, most)
		}
	})
}
