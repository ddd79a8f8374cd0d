//go:build linux

package e2e

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// What the comparison with psutil needs. The program that compares is not part
// of this repository; where it is missing, the tests of package platform hold
// the truths that it would find.
const (
	psutilScript = "../shared/oracle/psutil_oracle.py"
	python       = "/usr/bin/python3" // Debian's, which has Debian's psutil
)

// A deviation is an answer in which psutil is known to be wrong.
type knownDifference struct {
	attr    string
	reason  string
	differs *regexp.Regexp // how the comparison words it
}

func knownDifferences(t *testing.T) []knownDifference {
	t.Helper()
	text, err := os.ReadFile("testdata/psutil_known.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows [][4]string
	if err := json.Unmarshal(text, &rows); err != nil {
		t.Fatal(err)
	}
	var known []knownDifference
	for _, row := range rows {
		if row[2] == "" {
			t.Errorf("%s deviates without a reason", row[0])
		}
		known = append(known, knownDifference{attr: row[0], reason: row[2], differs: regexp.MustCompile(row[3])})
	}
	return known
}

// psutilLine matches a line of the comparison: process, attribute, and why.
var psutilLine = regexp.MustCompile(`^ *(\d+) (\S+) +(.*)$`)

// psutilDiffers returns those of one comparison that are not known, by process
// and attribute.
func psutilDiffers(t *testing.T, known []knownDifference, program string, as *syscall.Credential) map[string]string {
	t.Helper()
	cmd := exec.Command(python, psutilScript, "compare", "all", "--", program, "inspect", "--json", "--show-environ", "{pids}")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if !strings.HasSuffix(lines[len(lines)-1], "difference(s)") {
		t.Fatalf("the comparison did not end: %v\n%s", err, stderr.String())
	}
	found := make(map[string]string)
	for _, line := range lines {
		m := psutilLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if m[1] == strconv.Itoa(os.Getpid()) { // we do not stand still while we compare
			continue
		}
		if !isKnown(known, m[2], m[3]) {
			found[m[1]+" "+m[2]] = m[3]
		}
	}
	return found
}

func isKnown(known []knownDifference, attr, why string) bool {
	for _, d := range known {
		if d.attr == attr && d.differs.MatchString(why) {
			return true
		}
	}
	return false
}

// TestInspectMatchesPsutil compares all that both tell of all processes of
// this machine. Processes change while they are looked at, so that a difference
// counts only if it is there each time, and in open files only if it is the
// same: somebody who keeps writing is somewhere else at each look.
func TestInspectMatchesPsutil(t *testing.T) {
	if _, err := os.Stat(psutilScript); err != nil {
		t.Skipf("the program that compares is not here: %v", err)
	}
	if err := exec.Command(python, "-c", "import psutil").Run(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("python3-psutil is not installed: %v", err)
		}
		t.Skipf("python3-psutil is not installed: %v", err)
	}
	program := executableFor(t, binary)
	known := knownDifferences(t)
	t.Run("as we are", func(t *testing.T) { checkDifferences(t, known, program, nil) })
	t.Run("as nobody", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("only root can become somebody else")
		}
		checkDifferences(t, known, program, &syscall.Credential{Uid: 65534, Gid: 65534})
	})
}

func checkDifferences(t *testing.T, known []knownDifference, program string, as *syscall.Credential) {
	t.Helper()
	lasting := psutilDiffers(t, known, program, as)
	for range 4 {
		if len(lasting) == 0 {
			return
		}
		again := psutilDiffers(t, known, program, as)
		for key, why := range lasting {
			now, still := again[key]
			moves := strings.HasSuffix(key, " open_files") && now != why
			if !still || moves {
				delete(lasting, key)
			}
		}
	}
	for key, why := range lasting {
		t.Errorf("%s: %s", key, why)
	}
}

// forEverybody returns a copy of a program that every user may run.
func executableFor(t *testing.T, program string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "inspect")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	text, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, filepath.Base(program))
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(path, text, 0o755)); err != nil {
		t.Fatal(err)
	}
	return path
}
