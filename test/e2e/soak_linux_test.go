package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// soakRate is how many processes a second are born and die meanwhile.
const soakRate = 500

// TestSoak scrapes every second for as long as the environment says in SOAK, while
// processes are born and die, some under names of their own, clients hang up, and
// the configuration is read again every ten seconds, every third time a broken one.
// No scrape fails, and after a third of the time the exporter takes no more than it
// has taken till then, but for a MiB of memory an hour.
func TestSoak(t *testing.T) {
	requireLinux(t)
	if os.Getenv("SOAK") == "" {
		t.Skip("only with SOAK, the time that it takes, as make soak has it")
	}
	limit, err := time.ParseDuration(os.Getenv("SOAK"))
	if err != nil || limit < 30*time.Second {
		t.Fatalf("SOAK=%s is no time of at least half a minute: %v", os.Getenv("SOAK"), err)
	}
	l := newLoad(t)
	births := exec.Command(l.spawn, l.program, "1000000000", strconv.Itoa(soakRate))
	if err := births.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = births.Process.Kill(); _ = births.Wait() })
	rules := writeFile(t, "rules.yaml", soakRules)
	r := startCommand(t, exec.Command(l.exporter, "--web.listen-address=127.0.0.1:0", "-config.path", rules))
	eventually(t, "a listener", func() bool { r.checkRunning(); return len(r.addresses()) > 0 })
	r.URL = "http://" + r.addresses()[0]
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var all sync.WaitGroup
	defer all.Wait()
	dir := t.TempDir()
	all.Go(func() { every(ctx, 20*time.Millisecond, func(i int) { runAs(dir, i) }) })
	all.Go(func() { every(ctx, 100*time.Millisecond, func(int) { hangUp(r.addresses()[0]) }) })
	all.Go(func() { every(ctx, 10*time.Second, func(i int) { r.reloadSoak(rules, i) }) })

	var early, late usage
	scrapes := onceASecond(limit, func(passed time.Duration) {
		now := r.usage(t)
		switch part := passed.Seconds() / limit.Seconds(); {
		case part > 1./6 && part < 1./3:
			early = early.max(now)
		case part > 5./6:
			late = late.max(now)
		}
		if int(passed.Seconds())%60 == 0 {
			t.Logf("%v: %v", passed.Round(time.Second), now)
		}
	})
	cancel()
	t.Logf("%d scrapes in %v, none failed: at most %v in the second sixth of the time and %v in the last", scrapes, limit, early, late)
	if want := int(limit.Seconds()); scrapes != want {
		t.Errorf("got %d scrapes, want %d", scrapes, want)
	}
	most := early.memoryKB + int(1024*max(1, limit.Hours())) // in a shorter time the heap breathes as much
	if late.memoryKB > most && !raceDetector || late.goroutines > early.goroutines+4 || late.threads > early.threads+2 || late.fds > early.fds+4 {
		t.Errorf("got %v at last, and %v before", late, early)
	}
}

// everySecond calls do in each second of a time, with how much of it has passed, and
// returns how often it did. A call that comes late is made up for, but not for long.
func onceASecond(limit time.Duration, do func(passed time.Duration)) (calls int) {
	begun, tick := time.Now(), time.NewTicker(100*time.Millisecond)
	defer tick.Stop()
	for calls < int(limit.Seconds()) {
		<-tick.C
		switch passed := time.Since(begun); {
		case passed > limit+testTimeout:
			return calls
		case passed >= time.Duration(calls)*time.Second:
			do(passed)
			calls++
		}
	}
	return calls
}

const soakRules = "process_names: [{name: '{{.Comm}}', cmdline: ['.+']}]\n"

// every calls do until ctx ends, with the number of the call.
func every(ctx context.Context, pause time.Duration, do func(i int)) {
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for i := 0; ; i++ {
		do(i)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// runAs runs a program under a name of its own.
func runAs(dir string, i int) {
	link := filepath.Join(dir, fmt.Sprintf("soak%d", i))
	if program, err := exec.LookPath("true"); err == nil && os.Symlink(program, link) == nil {
		_ = exec.Command(link).Run() // one that fails is a process as well
		_ = os.Remove(link)
	}
}

// hangUp asks for the metrics and does not wait for the answer.
func hangUp(address string) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return // the connections may be used up for a moment
	}
	_, _ = conn.Write([]byte("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"))
	_ = conn.Close()
}

func (r *instance) reloadSoak(rules string, i int) {
	text := soakRules
	if i%3 == 2 {
		text = strings.Replace(text, "}", "", 1)
	}
	_ = os.WriteFile(rules, []byte(text), 0o600) // the one before stays in force
	_ = r.command.Process.Signal(syscall.SIGHUP)
}
