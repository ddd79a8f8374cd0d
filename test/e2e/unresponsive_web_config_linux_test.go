package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// TestUnresponsiveWebConfig replaces the web configuration with a file whose file system does not
// respond. The previous configuration stays in use, and no request waits.
func TestUnresponsiveWebConfig(t *testing.T) {
	server := startFuse(t, "fuse=stat")
	unresponsivePath := fmt.Sprintf("/proc/%d/root%s", children(t, server.command.Process.Pid)[0], filepath.Join(server.dir, "f"))
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
		testenv.WaitFor(t, log, func() bool {
			response, err := r.Client.Get(r.URL + "/metrics")
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if header := response.Header.Get("X-Frame-Options"); response.StatusCode != 200 || header != "deny" {
				t.Fatalf("got %s and header %q, want 200 and deny", response.Status, header)
			}
			return strings.Contains(strings.Join(r.Log(), "\n"), log)
		})
	}
	pointTo(unresponsivePath)
	until("timed out reading web configuration")
	until("timed out reading web configuration")          // again: every scrape reads it from now on
	if err := server.command.Process.Kill(); err != nil { // the kernel then aborts the requests to the file system
		t.Fatal(err)
	}
	until("cannot reload web configuration")
	pointTo(good)
	until("reloaded web configuration")
	if code := r.Stop(); code != 0 {
		t.Errorf("got exit status %d, want 0", code)
	}
}
