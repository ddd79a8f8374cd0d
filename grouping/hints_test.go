package grouping

import (
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/platform"
)

// TestItemHints checks the warnings about items that probably match no process.
func TestItemHints(t *testing.T) {
	tests := []struct{ rule, want string }{
		{"comm: ['.+']", "comm \".+\" looks like a regular expression"},
		{"comm: ['^nginx$']", "looks like a regular expression"},
		{"exe: ['/usr/bin/.*']", "looks like a regular expression"},
		{"comm: ['php*']", "looks like a shell pattern"},
		{"comm: ['“nginx”']", "contains a typographic quote"},
		{"cmdline: ['‘nginx’']", "contains a typographic quote"},
		{"comm: [nginx, 'ksoftirqd/0', '(sd-pam)', 'a.b', 'c++']", ""},
		{"exe_path: ['/usr/bin/*']", ""},
		{"exe_path: ['^/usr/bin/.*']", "but is a shell pattern"},
		{"cmdline: ['/opt/*/run.sh']", "looks like a shell pattern"},
		{"cmdline: ['redis-*.conf']", "looks like a shell pattern"},
		{"cmdline: ['app*.jar']", "looks like a shell pattern"},
		{"cmdline: ['/opt/.*/run\\.sh', '\\w*.jar', '[a-z]*.jar', '(?:-x|-y)*z', 'a/*$', 'x*y', '-jar \\S*shop\\.jar', 'redis-*']", ""},
		{"cgroup: ['/kubepods/*/x']", "looks like a shell pattern"},
		{"unit: ['getty@*.service']", ""},
		{"container: ['*']", ""},
	}
	for _, tt := range tests {
		c, err := Parse("c.yml", []byte("process_names:\n- {name: x, "+tt.rule+"}\n"))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if len(c.Warnings()) > 0 {
			got = c.Warnings()[0].String()
		}
		if (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: got warning %q, want %q", tt.rule, got, tt.want)
		}
	}
}

// TestExpressionHint checks the hint about characters that must be escaped.
func TestExpressionHint(t *testing.T) {
	const path = "/usr/lib/jdk-11.0.10+9/bin/java"
	c, err := Parse("c.yml", []byte("process_names:\n- {name: java11, cmdline: '"+path+"'}\n"))
	if err != nil {
		t.Fatal(err)
	}
	result := c.Rules()[0].try(&platform.Identity{Args: []string{path, "-jar", "x.jar"}}, c)
	want := `the text contains the expression literally; escape it: '/usr/lib/jdk-11\.0\.10\+9/bin/java'`
	if got := result.Selectors[0]; got.Matched || got.Hint != want {
		t.Errorf("got matched %v, hint %q, want hint %q", got.Matched, got.Hint, want)
	}
	result = c.Rules()[0].try(&platform.Identity{Args: []string{"other"}}, c)
	if got := result.Selectors[0].Hint; got != "" {
		t.Errorf("got hint %q for another command line, want none", got)
	}
}
