package grouping

import (
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/platform"
)

// TestProgramOfRuntimes checks that the default rules name a process by its program if a
// runtime has replaced the process name.
func TestProgramOfRuntimes(t *testing.T) {
	tests := []struct {
		comm string
		args []string
		want string
	}{
		{"nginx", []string{"nginx: worker process"}, "nginx"},
		{"MainThread", []string{"/usr/bin/node", "/srv/shop/index.js"}, "node"},
		{"node-MainThread", []string{"node", "index.js"}, "node"},
		{"MainThread", []string{"node /srv/shop/index.js"}, "node"},
		{"MainThread", []string{"/x/" + strings.Repeat("n", 1000)}, strings.Repeat("n", 128)},
	}
	for _, tt := range tests {
		m := Default().Match(&platform.Identity{Comm: tt.comm, Args: tt.args})
		if m.Group != tt.want || m.Fields != 0 {
			t.Errorf("%s %q: got group %q that depends on fields %b, want %q and 0", tt.comm, tt.args, m.Group, m.Fields, tt.want)
		}
	}
}
