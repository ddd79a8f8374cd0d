package grouping

import (
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/platform"
)

// simpleCandidates are processes that have words, and some that lack them.
func simpleCandidates() map[string]*candidate {
	return map[string]*candidate{
		"all words": {
			id: &platform.Identity{
				ID: platform.ID{PID: 7}, Comm: "python3", Args: []string{"/usr/bin/python3", "-m", "http.server"}, Exe: "/usr/bin/python3.11",
				Username: "web", Ancestors: []string{"systemd", "init"},
				Cgroups: []string{"/system.slice/docker-" + strings.Repeat("0a", 32) + ".scope"},
			},
			matches: map[string]string{"": "x", "port": "80", "empty": ""},
		},
		"no words":     {id: new(platform.Identity)},
		"no UTF-8":     {id: &platform.Identity{Comm: "caf\xe9", Args: []string{"\xff/\x00", "\n"}}},
		"a long word":  {id: &platform.Identity{Comm: strings.Repeat("é", maxNameBytes), Args: []string{strings.Repeat("a/", maxNameBytes)}}},
		"room for one": {id: &platform.Identity{Comm: strings.Repeat("a", maxNameBytes-1), Username: "é"}},
	}
}

// TestPlain compares names that are put together with those that the template
// yields.
func TestPlain(t *testing.T) {
	for _, tt := range []struct {
		text  string
		plain bool
	}{
		{"", true},
		{"fixed", true},
		{"{{/* nothing */}}", true},
		{"{{.Comm}}", true},
		{"{{.ExeBase}}:{{.Username}}", true},
		{"a {{- .ExeFull -}} b", true},
		{"{{.Exe}}{{.Unit}}{{.Slice}}{{.ContainerID}}{{.ContainerRuntime}}{{.PodUID}}{{.Parent}}", true},
		{"{{.App}}", true},
		{"{{.Matches.port}}-{{.Matches.empty}}-{{.Matches.none}}", true},
		{"{{.Comm}}{{.Comm}}{{.Username}}", true},
		{"{{.PID}}", false},
		{"{{.StartTime}}", false},
		{"{{.Matches}}", false},
		{"{{.Cgroups}}", false},
		{"{{.}}", false},
		{"{{.Comm | upper}}", false},
		{"{{upper .Comm}}", false},
		{"{{$x := .Comm}}{{$x}}", false},
		{"{{if .Comm}}a{{end}}", false},
		{"{{.Comm.X}}", false},
		{`{{define "x"}}a{{end}}{{template "x"}}`, false},
		{`{{"quoted"}}`, false},
	} {
		t.Run(tt.text, func(t *testing.T) {
			tmpl, err := parseTemplate(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if tmpl.simple != tt.plain {
				t.Fatalf("got plain %v, want %v", tmpl.simple, tt.plain)
			}
			other := *tmpl
			other.simple = false
			for name, s := range simpleCandidates() {
				got, want := tmpl.group(s), other.group(s)
				if got.Group != want.Group || got.TemplateFailed != want.TemplateFailed {
					t.Errorf("%s: got %.80q (failed %v), want %.80q (failed %v)", name, got.Group, got.TemplateFailed, want.Group, want.TemplateFailed)
				}
			}
		})
	}
}

// TestPlainWords are all words of templates that are texts.
func TestPlainWords(t *testing.T) {
	for name := range stringFields {
		tmpl, err := parseTemplate("{{." + name + "}}")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tmpl.execute(&candidate{id: new(platform.Identity)}); err != nil || !tmpl.simple {
			t.Errorf("%s: plain %v, error %v", name, tmpl.simple, err)
		}
	}
}

// BenchmarkName puts a usual name together.
func BenchmarkName(b *testing.B) {
	tmpl, err := parseTemplate("{{.ExeBase}}:{{.Username}}")
	if err != nil {
		b.Fatal(err)
	}
	s := simpleCandidates()["all words"]
	b.ReportAllocs()
	for b.Loop() {
		if m := tmpl.group(s); m.Group != "python3:web" {
			b.Fatal(m.Group)
		}
	}
}
