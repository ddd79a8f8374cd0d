package grouping

import (
	"strings"
	"testing"
	"text/template"

	"github.com/seed57308aee/process_exporter/platform"
)

// simpleCandidates returns processes with all fields, with none and with extreme ones.
func simpleCandidates() map[string]*candidate {
	return map[string]*candidate{
		"all fields": {
			id: &platform.Identity{
				ID: platform.ID{PID: 7}, Comm: "python3", Args: []string{"/usr/bin/python3", "-m", "http.server"}, Exe: "/usr/bin/python3.11",
				Username: "web", Ancestors: []string{"systemd", "init"},
				Cgroups: []string{"/system.slice/docker-" + strings.Repeat("0a", 32) + ".scope"},
			},
			capturedText: map[string]string{"": "x", "port": "80", "empty": ""},
		},
		"no fields": {id: new(platform.Identity)},
		"not UTF-8": {id: &platform.Identity{Comm: "caf\xe9", Args: []string{"\xff/\x00", "\n"}}},
		"long fields": {id: &platform.Identity{Comm: strings.Repeat("é", maxNameBytes),
			Args: []string{strings.Repeat("a/", maxNameBytes)}}},
		"cut within a character": {id: &platform.Identity{Comm: strings.Repeat("a", maxNameBytes-1), Username: "é"}},
	}
}

// TestSimpleTemplates compares the concatenated parts with the output of the template.
func TestSimpleTemplates(t *testing.T) {
	for _, tt := range []struct {
		text   string
		simple bool
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
			if tmpl.simple != tt.simple {
				t.Fatalf("got simple %v, want %v", tmpl.simple, tt.simple)
			}
			other := *tmpl
			if other.simple = false; other.tmpl == nil { // a template without actions is not parsed
				other.tmpl = template.Must(template.New("name").Parse(tt.text))
			}
			for name, s := range simpleCandidates() {
				got, want := tmpl.render(s), other.render(s)
				if got.Group != want.Group || got.TemplateFailed != want.TemplateFailed {
					t.Errorf("%s: got %.80q (failed %v), want %.80q (failed %v)", name, got.Group, got.TemplateFailed, want.Group, want.TemplateFailed)
				}
			}
		})
	}
}

// TestStringFields checks that every field of stringFields is a string field of templates.
func TestStringFields(t *testing.T) {
	for name := range stringFields {
		tmpl, err := parseTemplate("{{." + name + "}}")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tmpl.execute(&candidate{id: new(platform.Identity)}); err != nil || !tmpl.simple {
			t.Errorf("%s: got simple %v and error %v, want a simple template", name, tmpl.simple, err)
		}
	}
}

// BenchmarkSimpleTemplate executes a typical name template.
func BenchmarkSimpleTemplate(b *testing.B) {
	tmpl, err := parseTemplate("{{.ExeBase}}:{{.Username}}")
	if err != nil {
		b.Fatal(err)
	}
	s := simpleCandidates()["all fields"]
	b.ReportAllocs()
	for b.Loop() {
		if m := tmpl.render(s); m.Group != "python3:web" {
			b.Fatal(m.Group)
		}
	}
}
