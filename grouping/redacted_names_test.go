package grouping

import (
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/platform"
)

// TestNamesAreRedacted checks that parts of a command line are redacted in names,
// and that literal text of a template and the process name are not.
func TestNamesAreRedacted(t *testing.T) {
	id := &platform.Identity{Comm: "token=1", Args: []string{"/bin/run", "--password=hunter2"}}
	for _, tt := range []struct{ text, want string }{
		{"{{.Matches.all}}", "/bin/run --password=***"},
		{"{{upper .Matches.all}}", "/BIN/RUN --PASSWORD=***"},
		{"password=fixed", "password=fixed"},
		{"password: {{.ExeBase}}", "password: run"},
		{"passwd:{{.Comm}} {{.Matches.all}}", "passwd:token=1 /bin/run --password=***"},
		{"{{.Comm}}", "token=1"},
	} {
		tmpl, err := parseTemplate(tt.text)
		if err != nil {
			t.Fatal(err)
		}
		s := &candidate{id: id, capturedText: map[string]string{"all": strings.Join(id.Args, " ")}}
		if got := tmpl.render(s).Group; got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.text, got, tt.want)
		}
	}
	mapping, err := NewNameMapping("", "token=1,(--pass.*)")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := mapping.Match(id).Group, "token=1:--password=***"; got != want {
		t.Errorf("name mapping: got %q, want %q", got, want)
	}
}
