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

// churnScrapes is the environment variable that says how many scrapes
// TestChurn makes. make bench sets it to 1000.
const churnScrapesVariable = "CHURN_SCRAPES"

// churnRate is how many processes a second are born and die meanwhile.
const churnRate = 200

// TestChurn scrapes while 200 processes a second are born and die. After a tenth
// of the scrapes the exporter takes no more than it has taken till then. They
// live in a PID namespace of their own, so that no neighbor adds to them.
func TestChurn(t *testing.T) {
	requireLinux(t)
	if os.Getuid() != 0 {
		t.Skip("only root can make PID namespaces")
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
	pause := time.NewTicker(20 * time.Millisecond) // so that births come in between
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
	t.Logf("%d scrapes, %d births a second: at most %v at first and %v at last", scrapes, churnRate, early, late)
	// The heap breathes, and a scrape opens a file or a connection at a time.
	if !raceDetector && late.memoryKB > early.memoryKB+early.memoryKB/8+1024 || late.goroutines > early.goroutines+2 || late.fds > early.fds+2 {
		t.Errorf("got %v after %d scrapes, and %v in the first ones", late, scrapes, early)
	}
}

// startAlone starts the exporter in a PID namespace with nobody but processes
// that are born and die.
func (l *load) startAlone(t *testing.T, source string) *instance {
	t.Helper()
	return startInNamespace(t, fmt.Sprintf("%s %s 100000 %d & exec %s --source=%s --web.listen-address=127.0.0.1:0", l.spawn, l.program, churnRate, l.exporter, source))
}

// startInNamespace runs a script, which becomes the exporter, in a PID namespace of
// its own.
func startInNamespace(t *testing.T, script string) *instance {
	t.Helper()
	r := startCommand(t, exec.Command("unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", script))
	r.URL = r.waitForURL()
	r.PID = children(t, r.PID)[0] // the first process inside
	return r
}

// A burden is what the exporter puts on the machine.
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

// burden scrapes, which must be a success, and returns what the exporter takes.
func (r *instance) usage(t *testing.T) usage {
	t.Helper()
	text := r.Scrape()
	if !strings.Contains(text, "\nnamedprocess_exporter_scrape_success 1\n") {
		t.Error("a scrape was no success")
	}
	number := func(line *regexp.Regexp) int {
		found := line.FindStringSubmatch(text)
		if found == nil {
			t.Fatalf("nothing matches %v", line)
		}
		n, err := strconv.ParseFloat(found[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		return int(n)
	}
	return usage{number(memoryLine) >> 10, number(goroutineLine), threadCount(t, r.PID), number(openLine)}
}
