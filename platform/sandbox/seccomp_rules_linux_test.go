//go:build amd64 || arm64

package sandbox

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// Results of a system call in the sandbox.
const (
	resultPermitted = "permitted"
	resultRefused   = "refused"
	resultUnknown   = "ENOSYS"
)

// lastCall is the highest number that callEverything uses.
const lastCall = firstUnknownCall + 50

// terminalCalls end the thread or its signal handler: they cannot be made in a test.
// The last two are uretprobe and uprobe of amd64, which the kernel does not filter.
// They send SIGILL to a caller that is not a trampoline of a probe.
var terminalCalls = []uintptr{unix.SYS_EXIT, unix.SYS_EXIT_GROUP, unix.SYS_RT_SIGRETURN, 335, 336}

// callEverything enters the sandbox, makes each system call with all arguments -1,
// prints the results and exits. With these arguments, no permitted call has an effect or
// fails with EPERM.
func callEverything() {
	entered := Enter(Options{})
	if !slices.Contains(entered.Layers, "seccomp") {
		fmt.Fprintln(os.Stderr, entered.Unavailable)
		os.Exit(1)
	}
	runtime.LockOSThread()
	results := make(map[uintptr]string)
	for call := uintptr(0); call <= lastCall; call++ {
		if slices.Contains(terminalCalls, call) {
			continue
		}
		switch _, _, errno := unix.RawSyscall6(call, badFD, badFD, badFD, badFD, badFD, badFD); errno {
		case unix.EPERM:
			results[call] = resultRefused
		case unix.ENOSYS:
			results[call] = resultUnknown
		default:
			results[call] = resultPermitted
		}
	}
	_ = json.NewEncoder(os.Stdout).Encode(childReport{Calls: results})
	os.Exit(0)
}

// holds reports whether the check permits an argument of -1.
func (c check) holds() bool {
	value, mask := ^uint32(0), c.mask
	if mask == 0 {
		mask = ^uint32(0)
	}
	if c.above {
		return value > c.values[0]
	}
	return slices.Contains(c.values, value&mask) != c.none
}

// TestEveryCall makes every system call in the sandbox. Calls of the rules are permitted,
// and all others are refused.
func TestEveryCall(t *testing.T) {
	want := make(map[uintptr]string)
	for call := uintptr(0); call <= lastCall; call++ {
		want[call] = resultRefused
		if call >= firstUnknownCall || slices.Contains(replacedCalls, call) {
			want[call] = resultUnknown
		}
	}
	for _, r := range permitted(nil) {
		if !slices.ContainsFunc(r.checks, func(c check) bool { return !c.holds() }) {
			want[r.call] = resultPermitted
		}
	}
	r := runChild(t, modeEvery, nil)
	for call := uintptr(0); call <= lastCall; call++ {
		if got := r.Calls[call]; got != want[call] && !slices.Contains(terminalCalls, call) {
			t.Errorf("system call %d: got %q, want %q", call, got, want[call])
		}
	}
}

// neverAfterStart are the system calls that the Go runtime makes only in its
// initialization or on Android, with the reason that the sandbox refuses them.
var neverAfterStart = map[uintptr]string{
	unix.SYS_SOCKET:  "logging on Android",
	unix.SYS_CONNECT: "logging on Android",
	unix.SYS_PIPE2:   "tests of the runtime",
	unix.SYS_MINCORE: "page size, without an auxiliary vector",
}

// TestRuntimeCalls compares the system calls in the source of the Go runtime with
// the rules. If a new version of Go makes another call, decide here whether the
// daemon needs it.
func TestRuntimeCalls(t *testing.T) {
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	src := filepath.Join(strings.TrimSpace(string(goroot)), "src")
	sources := []string{
		filepath.Join(src, "runtime/sys_linux_"+runtime.GOARCH+".s"),
		filepath.Join(src, "internal/runtime/syscall/linux/defs_linux_"+runtime.GOARCH+".go"),
		filepath.Join(src, "internal/runtime/syscall/linux/defs_linux_asm_generic.go"),
	}
	definition := regexp.MustCompile(`(?m)^(?:#define\s+|\s+)(SYS_\w+)\s+=?\s*(\d+)`)
	found := 0
	for i, path := range sources {
		text, err := os.ReadFile(path)
		if err != nil && i < 2 {
			t.Fatalf("the source of the Go runtime is not where it was, adapt this test: %v", err)
		}
		for _, m := range definition.FindAllStringSubmatch(string(text), -1) {
			found++
			number, err := strconv.ParseUint(m[2], 10, 32)
			if err != nil {
				t.Fatal(err)
			}
			call := uintptr(number)
			isPermitted := slices.ContainsFunc(permitted(nil), func(r rule) bool { return r.call == call })
			if isPermitted == (neverAfterStart[call] != "") {
				t.Errorf("%s: the Go runtime uses %s (%d): got permitted %v and neverAfterStart %q, want one of them", path, m[1], call, isPermitted,
					neverAfterStart[call])
			}
		}
	}
	if found < 30 {
		t.Errorf("got %d system calls in the source of the Go runtime, want more than 30", found)
	}
}

// TestDocumentedCalls compares docs/permissions.md with the rules.
func TestDocumentedCalls(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the table has the system calls of amd64")
	}
	rules := permitted(nil)
	if !usesCgo {
		rules = append(rules, cgoRules()...)
	}
	testenv.CheckGeneratedSection(t, "../../docs/permissions.md", "system calls", formatRules(rules))
}

// formatRules returns the rules as a table, with one row for each use and one for
// each rule with checks.
func formatRules(rules []rule) string {
	var uses []string
	free := make(map[string][]string)
	var checked strings.Builder
	for _, r := range rules {
		if !slices.Contains(uses, r.use) {
			uses = append(uses, r.use)
		}
		if r.checks == nil {
			free[r.use] = append(free[r.use], "`"+r.name+"`")
			continue
		}
		var texts []string
		for _, c := range r.checks {
			texts = append(texts, c.text)
		}
		fmt.Fprintf(&checked, "| `%s` | %s | %s |\n", r.name, strings.Join(texts, "; "), r.use)
	}
	var table strings.Builder
	table.WriteString("| System call | Condition | Used for |\n|---|---|---|\n" + checked.String())
	for _, use := range uses {
		if free[use] != nil {
			fmt.Fprintf(&table, "| %s | | %s |\n", strings.Join(free[use], " "), use)
		}
	}
	return table.String()
}
