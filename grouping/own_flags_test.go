package grouping

import (
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
