package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestShortReads has the running exporter get a byte at a time of each file below
// /proc, or some, while it walks beside processes that sleep. All is read to its
// end, or counts as unreadable where a piece ends with a line: no counter falls
// and no process is lost, to its group either.
func TestShortReads(t *testing.T) {
	onlyLinux(t)
	if os.Getuid() != 0 {
		t.Skip("only root can trace the exporter")
	}
	tracer := filepath.Join(t.TempDir(), "shortread")
	if out, err := exec.Command(need(t, "cc"), "-O2", "-o", tracer, "testdata/shortread/shortread.c").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	path, err := plainBinary()
	if err != nil {
		t.Fatal(err)
	}
	token := fmt.Sprintf("61%d", os.Getpid())
	for range sleepers {
		startSleeper(t, token)
	}
	rules := writeFile(t, "rules.yaml", "process_names: [{name: aim, cmdline: ['^sleep "+token+"$'], username: [root]}]\n")
	r := startCommand(t, exec.Command(path, "--source=procfs", "--web.listen-address=127.0.0.1:0", "-config.path", rules))
	eventually(t, "a listener", func() bool { r.mustRun(); return len(r.addresses()) > 0 })
	r.URL = "http://" + r.addresses()[0]
	f := &faulty{running: r, tracer: tracer, last: make(sampleSet)}
	eventually(t, "all sleepers", func() bool { f.before = f.mustScrape(t); return f.before[aimProcs] == sleepers })
	sizes := []int{1, 100}
	if chaos {
		sizes = []int{1, 2, 3, 7, 20, 50, 100, 200, 500, atLines}
	}
	for _, size := range sizes {
		t.Run(strconv.Itoa(size), func(t *testing.T) { f.shorten(t, size) })
	}
	for _, line := range grep(r.Log(), "panic") {
		t.Error(line)
	}
}

// atLines is a size at which pieces of status may end with a line, as its end does.
const atLines = 1000

// shorten lets reads be short, scrapes, stops that, and looks whether all is well
// again.
func (f *faulty) shorten(t *testing.T, size int) {
	command := exec.Command(f.tracer, strconv.Itoa(f.PID), strconv.Itoa(size))
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the tracer", func() bool { return statusKB(t, f.PID, "TracerPid") != 0 })
	start, unreadable := time.Now(), 0.
	for range 5 {
		series := f.mustScrape(t)
		if procs := series[aimProcs]; procs != sleepers {
			t.Errorf("got %v of %d processes", procs, sleepers)
		}
		for key, value := range series {
			if strings.HasPrefix(key, `namedprocess_namegroup_unreadable_procs{`) && strings.Contains(key, `"aim"`) {
				unreadable += value
			}
		}
	}
	t.Logf("5 scrapes in %v; %v files unreadable", time.Since(start), unreadable)
	if unreadable != 0 && size != atLines {
		t.Errorf("got %v files unreadable", unreadable)
	}
	_ = command.Process.Signal(syscall.SIGTERM) // it lets go of the exporter
	_ = command.Wait()
	f.wellAgain(t)
}
