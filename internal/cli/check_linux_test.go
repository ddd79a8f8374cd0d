package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
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

// TestCheckHintsAtCollector checks that check prints a hint at rules that expect ports without the
// collector network, and that a hint is no error.
func TestCheckHintsAtCollector(t *testing.T) {
	tree := procfstree.New(t, 100_000)
	tree.Set(procfstree.Process{PID: 1, Comm: "init", Args: []string{"init"}, Start: 5})
	path := filepath.Join(t.TempDir(), "rules.yaml")
	text := "process_names:\n- {name: a, comm: [init], expect: {listen: [443]}}\n" +
		"- {name: b, comm: [b], expect: {listen: [80]}, collectors: {network: true}}\n- {name: c, comm: [c], expect: {min: 0}}\n" +
		"- {name: d, comm: [d], expect: {listen: [80]}, collectors: {network: false}}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for flag, lines := range map[string][]string{"--no-here": {"2", "5"}, "--collector.network": {"5"}} {
		status, out, errs := runArgs(t, "check", "--procfs", tree.Root, flag, path)
		if status != 0 || strings.Count(out, ": hint: ") != len(lines) {
			t.Errorf("%s: got status %d, %s%s, want hints at the lines %v", flag, status, out, errs, lines)
		}
		for _, line := range lines {
			if !strings.Contains(out, path+":"+line+":3: hint: listen in expect needs the collector network; use --collector.network") {
				t.Errorf("%s: got %s, want a hint at line %s", flag, out, line)
			}
		}
	}
}
