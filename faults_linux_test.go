package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// faults are errors that system calls of a walk are made to return: to every
// call, or to every so manieth of each thread. EACCES and ENOENT are
// none: they answer that a file is kept from us, or that the kernel has none, and
// what a process is called is only looked at again by turns.
var faults = []struct {
	call, errors string
	every        []int
}{
	{"openat", "EMFILE ENFILE ENOMEM EIO ESRCH EAGAIN", []int{1, 2, 7}},
	{"openat", "EINTR", []int{2, 7}},
	{"read", "EIO EINTR ENOMEM ESRCH", []int{3, 8}},
	{"pread64", "EIO EINTR ESRCH", []int{2, 3}},
	{"getdents64", "EIO EINTR ENOMEM ENOENT", []int{2, 3}},
	{"statx", "EIO ENOMEM", []int{1, 3}},
	{"newfstatat", "EIO ENOMEM", []int{1, 3}},
	{"readlinkat", "EACCES ENOENT ENOMEM", []int{1, 3}},
	{"prlimit64", "EPERM ESRCH EINVAL", []int{1, 3}},
	{"clock_gettime", "EINVAL EPERM", []int{1, 3}},
	{"close", "EIO EINTR", []int{2}},
}

// ofOurs are errors that say nothing of the process that is read.
const ofOurs = "EMFILE ENFILE ENOMEM"

// TestFaults has system calls of the running exporter fail while it walks beside
// twenty processes that sleep. No counter falls, none of the processes is gone for
// a trouble of ours, and when the faults stop all is as it was before.
func TestFaults(t *testing.T) {
	onlyLinux(t)
	if os.Getuid() != 0 {
		t.Skip("only root can trace the exporter")
	}
	tracer := need(t, "strace")
	path, err := plainBinary()
	if err != nil {
		t.Fatal(err)
	}
	token := fmt.Sprintf("60%d", os.Getpid())
	for range sleepers {
		startSleeper(t, token)
	}
	rules := writeFile(t, "rules.yaml", "process_names: [{name: aim, cmdline: ['^sleep "+token+"$']}]\n")
	r := startCommand(t, exec.Command(path, "--source=procfs", "--web.listen-address=127.0.0.1:0", "-config.path", rules))
	eventually(t, "a listener", func() bool { r.mustRun(); return len(r.addresses()) > 0 })
	r.URL = "http://" + r.addresses()[0]
	r.Client.Timeout = 3 * time.Second // for connections that a fault breaks
	f := &faulty{running: r, tracer: tracer, last: make(sampleSet)}
	eventually(t, "all sleepers", func() bool { f.before = f.mustScrape(t); return f.before[aimProcs] == sleepers })
	for _, fault := range faults {
		for name := range strings.FieldsSeq(fault.errors) {
			for _, every := range fault.every {
				t.Run(fmt.Sprintf("%s/%s/%d", fault.call, name, every), func(t *testing.T) { f.try(t, fault.call, name, every) })
			}
		}
	}
	if text := strings.Join(r.Log(), "\n"); strings.Contains(text, "panic") || strings.Contains(text, "goroutine ") {
		t.Errorf("the exporter panicked:\n%s", text)
	}
}

const (
	sleepers = 20
	aimProcs = `namedprocess_namegroup_num_procs{groupname="aim"}`
)

func startSleeper(t *testing.T, token string) {
	t.Helper()
	command := exec.Command("sleep", token)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
}

// A faulty is an exporter whose system calls fail.
type faulty struct {
	*running
	tracer string
	before sampleSet // without faults
	last   sampleSet // of each counter
}

// try lets calls fail, scrapes, stops that, and looks whether all is well again.
func (f *faulty) try(t *testing.T, call, name string, every int) {
	stop := f.inject(t, fmt.Sprintf("%s:error=%s:when=1+%d", call, name, every))
	answers := 0
	for range 8 {
		series, ok := f.scrape(t)
		if !ok {
			continue // the fault met the connection
		}
		answers++
		if procs, shown := series[aimProcs]; shown && procs != sleepers && strings.Contains(ofOurs, name) {
			t.Errorf("%v of %d processes are left, for want of something of ours", procs, sleepers)
		}
		if answers == 4 {
			break
		}
	}
	stop()
	f.wellAgain(t)
}

// wellAgain looks whether all is as it was before, after at most two scrapes.
func (f *faulty) wellAgain(t *testing.T) {
	t.Helper()
	var series sampleSet
	for range 2 {
		series = f.mustScrape(t)
	}
	for key, want := range f.before {
		if got, shown := series[key]; strings.Contains(key, `groupname="aim"`) && (!shown || got != want) && !varies(key) {
			t.Errorf("afterwards: %s: got %v, want %v", key, got, want)
		}
	}
	if series["namedprocess_exporter_scrape_success{}"] != 1 {
		t.Error("afterwards: the scrape failed")
	}
}

// varies reports whether a series may differ although the processes sleep: they
// share pages with others, what could not be read is counted, and so is a process
// that left its group while its words could not be read.
func varies(key string) bool {
	return strings.Contains(key, "proportional") || strings.Contains(key, `"unique"`) || strings.Contains(key, "unreadable") || strings.Contains(key, "regroups") || strings.Contains(key, "smaps_age")
}

// inject lets calls of the exporter fail until stop is called.
func (f *faulty) inject(t *testing.T, what string) (stop func()) {
	t.Helper()
	call, _, _ := strings.Cut(what, ":")
	command := exec.Command(f.tracer, "-f", "-qq", "-o", "/dev/null", "-e", "trace="+call, "-e", "inject="+what, "-p", fmt.Sprint(f.PID))
	var said strings.Builder
	command.Stderr = &said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = command.Wait(); close(ended) }()
	eventually(t, "the tracer", func() bool {
		select {
		case <-ended:
			t.Fatalf("strace: %s", said.String())
		default:
		}
		return statusKB(t, f.PID, "TracerPid") != 0
	})
	return func() {
		_ = command.Process.Signal(syscall.SIGTERM) // it lets go of the exporter
		<-ended
		eventually(t, "the tracer to go", func() bool { return statusKB(t, f.PID, "TracerPid") == 0 })
	}
}

// scrape returns the answer to a scrape, and false if none came through. Counters
// never fall.
func (f *faulty) scrape(t *testing.T) (series sampleSet, ok bool) {
	t.Helper()
	f.mustRun()
	response, err := f.Client.Get(f.URL + "/metrics")
	if err != nil {
		return nil, false
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return nil, false
	}
	return f.last.follow(t, string(text)), true
}

// follow returns the samples of an answer, and keeps the counters of groups in
// last. None may be below what it was.
func (last sampleSet) follow(t *testing.T, text string) sampleSet {
	t.Helper()
	series, kinds := parseMetrics(t, text)
	for key, value := range series {
		name, _, _ := strings.Cut(key, "{")
		if !strings.HasPrefix(name, "namedprocess_namegroup_") || kinds[name] != dto.MetricType_COUNTER {
			continue
		}
		if value < last[key] {
			t.Errorf("%s fell from %v to %v", key, last[key], value)
		}
		last[key] = value
	}
	return series
}

func (f *faulty) mustScrape(t *testing.T) sampleSet {
	t.Helper()
	var series sampleSet
	eventually(t, "an answer", func() (ok bool) { series, ok = f.scrape(t); return ok })
	return series
}
