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

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// soakRate is the number of processes that start and exit per second.
const soakRate = 500

// TestSoak scrapes every second for the duration in SOAK, while processes start and exit, some with
// unique names, clients abort requests, and the configuration is reloaded every ten seconds, every
// third time with an invalid file. No scrape fails, and after a third of the duration the resource
// usage does not grow by more than a MiB of memory per hour.
func TestSoak(t *testing.T) {
	if os.Getenv("SOAK") == "" {
		t.Skip("set SOAK to a duration, or run make soak")
	}
	limit, err := time.ParseDuration(os.Getenv("SOAK"))
	if err != nil || limit < 30*time.Second {
		t.Fatalf("SOAK=%s is not a duration of at least 30 seconds: %v", os.Getenv("SOAK"), err)
	}
	l := newLoad(t)
	births := exec.Command(l.spawnLoop, l.program, "1000000000", strconv.Itoa(soakRate))
	if err := births.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = births.Process.Kill(); _ = births.Wait() })
	rules := writeFile(t, "rules.yaml", soakRules)
	r := startCommand(t, exec.Command(l.exporter, "--web.listen-address=127.0.0.1:0", "-config.path", rules))
	testenv.WaitFor(t, "a listener", func() bool { r.checkRunning(); return len(r.addresses()) > 0 })
	r.URL = "http://" + r.addresses()[0]
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var all sync.WaitGroup
	defer all.Wait()
	dir := t.TempDir()
	all.Go(func() { every(ctx, 20*time.Millisecond, func(i int) { runAs(dir, i) }) })
	all.Go(func() { every(ctx, 100*time.Millisecond, func(int) { disconnect(r.addresses()[0]) }) })
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
	t.Logf("%d scrapes in %v, none failed: peak in the second sixth of the duration %v, in the last sixth %v", scrapes, limit, early, late)
	if want := int(limit.Seconds()); scrapes != want {
		t.Errorf("got %d scrapes, want %d", scrapes, want)
	}
	most := early.memoryKB + int(1024*max(1, limit.Hours())) // in less than an hour the heap size varies as much
	if late.memoryKB > most && !raceDetector || late.goroutines > early.goroutines+4 || late.threads > early.threads+2 ||
		late.fds > early.fds+4 {
		t.Errorf("got %v in the last sixth, want about %v as before", late, early)
	}
}

// onceASecond calls do once per second until limit, with the time since the start. It returns the
// number of calls. Late calls are made up for, within testTimeout.
func onceASecond(limit time.Duration, do func(passed time.Duration)) (calls int) {
	start, tick := time.Now(), time.NewTicker(100*time.Millisecond)
	defer tick.Stop()
	for calls < int(limit.Seconds()) {
		<-tick.C
		switch passed := time.Since(start); {
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

// every calls do periodically until ctx ends, with the number of the call.
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

// runAs runs a program with a unique name.
func runAs(dir string, i int) {
	link := filepath.Join(dir, fmt.Sprintf("soak%d", i))
	if program, err := exec.LookPath("true"); err == nil && os.Symlink(program, link) == nil {
		_ = exec.Command(link).Run() // a program that fails is a process too
		_ = os.Remove(link)
	}
}

// disconnect requests the metrics and closes the connection.
func disconnect(address string) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return // the connection limit may be reached
	}
	_, _ = conn.Write([]byte("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"))
	_ = conn.Close()
}

func (r *instance) reloadSoak(rules string, i int) {
	text := soakRules
	if i%3 == 2 {
		text = strings.Replace(text, "}", "", 1)
	}
	_ = os.WriteFile(rules, []byte(text), 0o600) // an invalid file leaves the previous one in use
	_ = r.command.Process.Signal(syscall.SIGHUP)
}
