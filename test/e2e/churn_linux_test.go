package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// churnScrapesVariable is the environment variable with the number of scrapes of TestChurn. make bench
// sets it to 1000.
const churnScrapesVariable = "CHURN_SCRAPES"

// churnRate is the number of processes that start and exit per second.
const churnRate = 200

// TestChurn scrapes while 200 processes per second start and exit. The peak resource usage of the last
// tenth of the scrapes must not exceed that of the first tenth. Exporter and processes run in their
// own PID namespace, without other processes.
func TestChurn(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("requires root: creates PID namespaces")
	}
	scrapes := 100
	if n, err := strconv.Atoi(os.Getenv(churnScrapesVariable)); err == nil {
		scrapes = n
	}
	l := newLoad(t)
	for _, source := range []string{"procfs", "bpf"} {
		t.Run(source, func(t *testing.T) {
			if source == "bpf" {
				requireBPF(t)
			}
			scrapeChurn(t, l.startAlone(t, source), scrapes)
		})
	}
}

func scrapeChurn(t *testing.T, r *instance, scrapes int) {
	t.Helper()
	var early, late usage
	pause := time.NewTicker(20 * time.Millisecond) // lets processes start between scrapes
	defer pause.Stop()
	for i := range scrapes {
		now := r.usage(t)
		switch {
		case i < max(20, scrapes/10):
			early = early.max(now)
		case i >= scrapes-scrapes/10:
			late = late.max(now)
		}
		<-pause.C
	}
	t.Logf("%d scrapes, %d starts per second: peak of the first scrapes %v, of the last %v", scrapes, churnRate, early, late)
	// The heap size varies, and a scrape opens one file or connection at a time.
	if !raceDetector && late.memoryKB > early.memoryKB+early.memoryKB/8+1024 || late.goroutines > early.goroutines+2 ||
		late.fds > early.fds+2 {
		t.Errorf("got %v after %d scrapes, want about %v as in the first scrapes", late, scrapes, early)
	}
}

// startAlone starts the exporter in a PID namespace that contains only the processes that start and
// exit.
func (l *load) startAlone(t *testing.T, source string) *instance {
	t.Helper()
	return startInNamespace(t, fmt.Sprintf("%s %s 100000 %d & exec %s --source=%s --web.listen-address=127.0.0.1:0", l.spawnLoop, l.program,
		churnRate, l.exporter, source))
}

// startInNamespace runs a script in its own PID namespace, with files as its descriptors 3 and up. The
// script executes the exporter.
func startInNamespace(t *testing.T, script string, files ...*os.File) *instance {
	t.Helper()
	command := exec.Command("unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", script)
	command.ExtraFiles = files
	r := startCommand(t, command)
	r.URL = r.waitForURL()
	r.PID = children(t, r.PID)[0] // PID 1 of the namespace
	return r
}

// A usage is the resource usage of the exporter.
type usage struct{ memoryKB, goroutines, threads, fds int }

func (f usage) String() string {
	return fmt.Sprintf("%d KiB, %d goroutines, %d threads, %d descriptors", f.memoryKB, f.goroutines, f.threads, f.fds)
}

func (f usage) max(g usage) usage {
	return usage{max(f.memoryKB, g.memoryKB), max(f.goroutines, g.goroutines), max(f.threads, g.threads), max(f.fds, g.fds)}
}

var (
	memoryLine    = regexp.MustCompile(`(?m)^process_resident_memory_bytes (\S+)`)
	goroutineLine = regexp.MustCompile(`(?m)^go_goroutines (\S+)`)
	openLine      = regexp.MustCompile(`(?m)^process_open_fds (\S+)`)
)

// usage scrapes once and returns the resource usage of the exporter.
func (r *instance) usage(t *testing.T) usage {
	t.Helper()
	text := r.Scrape()
	if !strings.Contains(text, "\nnamedprocess_exporter_scrape_success 1\n") {
		t.Error("got a failed scrape")
	}
	number := func(line *regexp.Regexp) int {
		found := line.FindStringSubmatch(text)
		if found == nil {
			t.Fatalf("got no line that matches %v", line)
		}
		n, err := strconv.ParseFloat(found[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		return int(n)
	}
	return usage{number(memoryLine) >> 10, number(goroutineLine), threadCount(t, r.PID), number(openLine)}
}
