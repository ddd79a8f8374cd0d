package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnresponsiveWebConfig has the web configuration on a file server that does not answer
// any more. What it said stays in force, and no request waits for it.
func TestUnresponsiveWebConfig(t *testing.T) {
	holder := startFuse(t, "fuse=stat")
	deaf := fmt.Sprintf("/proc/%d/root%s", children(t, holder.command.Process.Pid)[0], filepath.Join(holder.dir, "f"))
	good := writeFile(t, "good.yml", "http_server_config: {headers: {X-Frame-Options: deny}}\n")
	path := filepath.Join(t.TempDir(), "web.yml")
	pointTo := func(file string) {
		t.Helper()
		if err := os.Symlink(file, path+".new"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	pointTo(good)
	r := startExporter(t, "--sandbox=off", "--web.config.file", path)
	until := func(log string) {
		t.Helper()
		eventually(t, log, func() bool {
			response, err := r.Client.Get(r.URL + "/metrics")
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if header := response.Header.Get("X-Frame-Options"); response.StatusCode != 200 || header != "deny" {
				t.Fatalf("got %s and %q", response.Status, header)
			}
			return strings.Contains(strings.Join(r.Log(), "\n"), log)
		})
	}
	pointTo(deaf)
	until("timed out reading web configuration")
	until("timed out reading web configuration")          // once more, as in every scrape from now on
	if err := holder.command.Process.Kill(); err != nil { // which makes the kernel answer for it
		t.Fatal(err)
	}
	until("cannot reload web configuration")
	pointTo(good)
	until("reloaded web configuration")
	if code := r.Stop(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}
