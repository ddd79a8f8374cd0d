package grouping

import (
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/platform"
)

// TestOwnFlags checks that rules match an exporter by the name of its program, but not by its
// flags.
func TestOwnFlags(t *testing.T) {
	c := mustParse(t, "process_names:\n- {name: redis, cmdline: redis}\n"+
		"- {name: exporter, cmdline: process.exporter}\n- {name: rest, cmdline: .+}\n")
	for _, tt := range []struct {
		comm string
		args []string
		want string
	}{
		{"process_exporte", []string{"/usr/bin/process_exporter", "--config.path", "redis.yml"}, "exporter"},
		{"process-exporte", []string{"process-exporter", "-config.path=/etc/redis.yml"}, "exporter"},
		{"prometheus-proc", []string{"/usr/bin/prometheus-process-exporter", "-procnames", "redis"}, "exporter"},
		{"process_exporte", []string{"/opt/other", "redis"}, "redis"},
		{"redis_exporter", []string{"redis_exporter", "--redis.addr=x"}, "redis"},
		{"vim", []string{"vim", "process_exporter", "redis.yml"}, "redis"},
	} {
		if got := groupOf(c, &platform.Identity{Comm: tt.comm, Args: tt.args}); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.args, got, tt.want)
		}
	}
}

// TestInvalidShellPattern checks the error about a shell pattern that is no regular expression.
func TestInvalidShellPattern(t *testing.T) {
	_, err := Parse("c.yml", []byte("process_names:\n- {name: x, cmdline: ['*.jar']}\n"))
	if err == nil || !strings.Contains(err.Error(), "looks like a shell pattern: write .*") {
		t.Errorf("got error %v, want one about a shell pattern", err)
	}
}

// TestNoRules checks the warning about a file without rules.
func TestNoRules(t *testing.T) {
	for _, text := range []string{"", "# comment\n", "---\n", "process_names:\n", "process_names: []\n", "{}\n"} {
		c := mustParse(t, text)
		if got := c.Warnings(); len(got) != 1 || got[0].Text != noRules {
			t.Errorf("%q: got %v, want one warning", text, got)
		}
	}
}
