//go:build linux

package e2e

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// The comparison with psutil requires a script that is not part of this repository. Without it, the
// tests of platform/process check known values.
const (
	psutilScript = "../shared/oracle/psutil_oracle.py"
	python       = "/usr/bin/python3" // Debian's Python has Debian's psutil
)

// A knownDifference is an attribute for which psutil is known to be wrong.
type knownDifference struct {
	attr    string
	reason  string
	differs *regexp.Regexp // matches the message of the comparison
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
			t.Errorf("%s: got a known difference without a reason", row[0])
		}
		known = append(known, knownDifference{attr: row[0], reason: row[2], differs: regexp.MustCompile(row[3])})
	}
	return known
}

// changing are the attributes that can have another value at each read of a process, such as a
// test with listeners on free ports that runs beside this one.
var changing = []string{"connections", "num_fds", "num_threads", "open_files", "thread_ids"}

// psutilLine matches a line of the comparison: PID, attribute, message.
var psutilLine = regexp.MustCompile(`^ *(\d+) (\S+) +(.*)$`)

// psutilDiffers returns the unknown differences of one comparison, by PID and attribute.
func psutilDiffers(t *testing.T, known []knownDifference, program string, as *syscall.Credential) map[string]string {
	t.Helper()
	// Status 1 means that some of the processes have exited.
	const run = `"$0" inspect --json --show-environ "$1" || [ $? = 1 ]`
	cmd := exec.Command(python, psutilScript, "compare", "all", "--", "sh", "-c", run, program, "{pids}")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if !strings.HasSuffix(lines[len(lines)-1], "difference(s)") {
		t.Fatalf("the comparison did not finish: %v\n%s", err, stderr.String())
	}
	found := make(map[string]string)
	for _, line := range lines {
		m := psutilLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if m[1] == strconv.Itoa(os.Getpid()) || inOtherNamespace(m[1]) { // the test itself changes during the comparison
			continue
		}
		if !isKnown(known, m[2], m[3]) {
			found[m[1]+" "+m[2]] = m[3]
		}
	}
	return found
}

// inOtherNamespace reports whether a process has other sockets and paths than this one. psutil
// reads only those of the namespaces in which it runs.
func inOtherNamespace(pid string) bool {
	for _, namespace := range []string{"net", "mnt"} {
		own, err := os.Readlink("/proc/self/ns/" + namespace)
		theirs, other := os.Readlink("/proc/" + pid + "/ns/" + namespace)
		if err == nil && other == nil && own != theirs {
			return true
		}
	}
	return false
}

func isKnown(known []knownDifference, attr, why string) bool {
	for _, d := range known {
		if d.attr == attr && d.differs.MatchString(why) {
			return true
		}
	}
	return false
}

// TestInspectMatchesPsutil compares all attributes of all processes with psutil. Processes change
// between the reads, so a difference counts only if every comparison has it. A difference in one of
// the changing attributes must also stay the same.
func TestInspectMatchesPsutil(t *testing.T) {
	if _, err := os.Stat(psutilScript); err != nil {
		t.Skipf("the comparison script is not installed: %v", err)
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
			t.Skip("requires root: changes the user")
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
			_, attr, _ := strings.Cut(key, " ")
			moves := slices.Contains(changing, attr) && now != why
			if !still || moves {
				delete(lasting, key)
			}
		}
	}
	for key, why := range lasting {
		t.Errorf("%s: %s", key, why)
	}
}

// executableFor returns a copy of a program that every user can execute.
func executableFor(t *testing.T, program string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "inspect")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, filepath.Base(program))
	testenv.CopyProgram(t, program, path)
	return path
}
