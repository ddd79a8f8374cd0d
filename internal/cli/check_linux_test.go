package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/seed57308aee/process_exporter/test/procfstree"
)

// TestCheckPrintsSeriesByCollector checks the number of series of some collectors for one group
// with one process.
func TestCheckPrintsSeriesByCollector(t *testing.T) {
	tree := procfstree.New(t, 100_000)
	tree.Set(procfstree.Process{PID: 1, Comm: "init", Args: []string{"init"}, Start: 5})
	path := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(path, []byte("process_names: [{name: g, comm: [init], collectors: {files: false}}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, out, errs := runArgs(t, "check", "--procfs", tree.Root, "--no-collector.io", path)
	if status != 0 {
		t.Fatalf("got status %d, %s", status, errs)
	}
	for line, want := range map[string]bool{
		`COLLECTOR +SERIES`: true, `cpu +2`: true, `faults +2`: true, `memory +3`: true, `smaps +4`: true, `states +5`: true,
		`io .*`: false, `files .*`: false,
	} {
		if got := regexp.MustCompile(`(?m)^` + line + ` *$`).MatchString(out); got != want {
			t.Errorf("got a line %q: %v, want %v; output:\n%s", line, got, want, out)
		}
	}
}
