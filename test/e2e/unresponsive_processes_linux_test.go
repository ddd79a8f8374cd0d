package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// An unresponsive is an instance of testdata/edgecase with children of which some /proc files block.
type unresponsive struct {
	t       *testing.T
	command *exec.Cmd
	dir     string
}

// startUnresponsive starts children of a kind that testdata/edgecase implements. All have this name,
// except the program sharedvm.
func startUnresponsive(t *testing.T, name, kind string, count int) *unresponsive {
	t.Helper()
	what := fmt.Sprintf("unresponsive=%s,%d", kind, count)
	if kind != "share" {
		return startNamedFuse(t, name, what)
	}
	return startNamedFuse(t, name, what, "SHAREDVM="+testenv.CompileC(t, "sharedvm", "sharedvm"))
}

// startFuse starts testdata/edgecase with its own FUSE file system.
func startFuse(t *testing.T, what string) *unresponsive {
	t.Helper()
	return startNamedFuse(t, "edgecase", what)
}

// startNamedFuse is like startFuse for a copy of the program with this name.
func startNamedFuse(t *testing.T, name, what string, environment ...string) *unresponsive {
	t.Helper()
	testenv.RequireRoot(t)
	if f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0); err != nil {
		t.Skipf("requires /dev/fuse: %v", err)
	} else if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/tmp", "unresponsive")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	program := filepath.Join(dir, name)
	testenv.CopyEdgeCase(t, program)
	c := testenv.StartEdgeCase(t, func(c *exec.Cmd) {
		c.Path, c.Args[0], c.Env = program, program, append(os.Environ(), environment...)
	}, what+","+filepath.Join(dir, "f"))
	return &unresponsive{t, c.Cmd, dir}
}

// resume unblocks all children.
func (v *unresponsive) resume() {
	v.t.Helper()
	if err := v.command.Process.Signal(syscall.SIGUSR1); err != nil {
		v.t.Fatal(err)
	}
}

// pids returns the PIDs of the program and of all its descendants.
func (v *unresponsive) pids() []int {
	v.t.Helper()
	pids := []int{v.command.Process.Pid}
	for i := 0; i < len(pids); i++ {
		pids = append(pids, children(v.t, pids[i])...)
	}
	return pids
}

// allResumed reports whether no process blocks.
func (v *unresponsive) allResumed() bool { return v.waiting() == 0 }

// waiting returns the number of blocked processes: in an uninterruptible sleep, or within execve(2),
// when they have only the stack of the new program.
func (v *unresponsive) waiting() (n int) {
	for _, pid := range v.pids() {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) // a read that never blocks
		if err != nil || waitingState.Match(text) {
			n++
		}
	}
	return n
}

var waitingState = regexp.MustCompile(`(?m)^State:\tD|^VmSize:\t +4 kB`)

// cpu returns the CPU seconds of all processes.
func (v *unresponsive) cpu() (seconds float64) {
	v.t.Helper()
	for _, pid := range v.pids() {
		const scheduler = 2 // CPUCLOCK_SCHED, combined with the complement of a PID (linux/posix-timers.h)
		var used unix.Timespec
		if err := unix.ClockGettime(int32(^pid<<3|scheduler), &used); err != nil {
			v.t.Fatal(err)
		}
		seconds += time.Duration(used.Nano()).Seconds()
	}
	return seconds
}

// unreadableNeighbor matches the metric of an unreadable file of the process neighbor.
var unreadableNeighbor = regexp.MustCompile(`unreadable_procs\{file="[a-z]+",groupname="neighbor"\} [1-9]`)

// unreadable matches the metric of an unreadable file of the unresponsive processes.
var unreadable = regexp.MustCompile(`unreadable_procs\{file="[a-z]+",groupname="unresponsive"\} [1-9]`)

// TestUnresponsiveOnceKnown blocks processes after the exporter has read them. They keep their memory
// values, and all other processes are read in every scrape.
func TestUnresponsiveOnceKnown(t *testing.T) {
	eachSource(t, func(t *testing.T, source string) {
		for _, kind := range []string{"mmap", "exec"} {
			for _, selector := range []string{"exe", "comm"} {
				t.Run(kind+" "+selector, func(t *testing.T) { checkOnceKnown(t, source, kind, selector) })
			}
		}
	})
}

const (
	unresponsiveProcs    = `namedprocess_namegroup_num_procs{groupname="unresponsive"}`
	unresponsiveResident = `namedprocess_namegroup_memory_bytes{groupname="unresponsive",memtype="resident"}`
)

func checkOnceKnown(t *testing.T, source, kind, selector string) {
	const count = 20
	startIdleProcess(t, "neighbor")
	name := uniqueToken()
	blocked := startUnresponsive(t, name, kind+" later", count)
	config := writeFile(t, "c.yml", "process_names:\n- {name: unresponsive, "+selector+": "+name+"}\n- {name: neighbor, comm: neighbor}\n")
	r := startSource(t, strings.TrimPrefix(source, "--source="), "--config.path", config)
	last := make(sampleSet)
	allRead := func() bool {
		body := r.Scrape()
		return last.update(t, body)[unresponsiveProcs] == count+1 && !unreadable.MatchString(body)
	}
	testenv.WaitFor(t, "all processes", allRead)
	before := last.update(t, r.Scrape())[unresponsiveResident]
	if err := blocked.command.Process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	testenv.WaitFor(t, "all processes to block", func() bool { return blocked.waiting() == count })
	for range unresponsiveScrapes {
		body := r.Scrape()
		series := last.update(t, body)
		found := unreadableNeighbor.FindString(body)
		if found != "" || series[`namedprocess_namegroup_num_procs{groupname="neighbor"}`] != 1 {
			t.Errorf("the neighbor was not read: %q", found)
		}
		// Within execve(2) they have freed most of their memory.
		got, procs := series[unresponsiveResident], series[unresponsiveProcs]
		if procs != count+1 || kind == "mmap" && got < before/2 || got <= 0 || got > before*2 {
			t.Errorf("got %v processes with %v bytes, want %v", procs, got, before)
		}
	}
	if threads := threadCount(t, r.PID); threads > 24 {
		t.Errorf("got %d threads, want at most 24", threads)
	}
	blocked.resume()
	testenv.WaitFor(t, "all processes to resume", blocked.allResumed)
	testenv.WaitFor(t, "all processes to be read", allRead)
}

// TestUnresponsiveProcesses blocks many processes: with a locked memory map, or within execve(2),
// which waits for a file to close or for such a lock. They block before the exporter starts or
// afterwards. All other processes must be read in every scrape.
func TestUnresponsiveProcesses(t *testing.T) {
	counts := map[string][]int{"mmap": {200}, "exec": {50}, "share": {50}}
	if chaos {
		counts = map[string][]int{"mmap": {1, 200}, "exec": {1, 50}, "share": {1, 50}}
	}
	eachSource(t, func(t *testing.T, source string) {
		for kind, counts := range counts {
			for _, count := range counts {
				for _, blockFirst := range []bool{true, false} {
					t.Run(fmt.Sprintf("%d %s/early=%v", count, kind, blockFirst), func(t *testing.T) {
						c := &unresponsiveCase{source: source, kind: kind, count: count, blockFirst: blockFirst}
						c.run(t)
					})
				}
			}
		}
	})
}

// unresponsiveScrapes is the number of scrapes while processes block. With make chaos, half a minute
// of them are a second apart.
var unresponsiveScrapes = map[bool]int{false: 12, true: 42}[chaos]

// TestLockedEpollFdinfo has processes whose fdinfo files block readers, even after SIGKILL, so that
// the exporter would keep its port. The exporter does not read these files, and can be killed and
// replaced.
func TestLockedEpollFdinfo(t *testing.T) {
	eachSource(t, func(t *testing.T, source string) {
		name := uniqueToken()
		config := "process_names:\n  - {name: unresponsive, exe: " + name + "}\n"
		blocked := startUnresponsive(t, name, "epoll", 10)
		start := func(address string) *instance {
			path := plainBinary(t)
			r := startCommand(t, exec.Command(path, source, "--web.listen-address="+address, "--config.path", writeFile(t, "c.yml", config)))
			r.URL = r.waitForURL()
			return r
		}
		wantAll := func(r *instance) {
			if body := r.Scrape(); !strings.Contains(body, `num_procs{groupname="unresponsive"} 11`) {
				t.Errorf("got %v, want 11 processes", linesWith(strings.Split(body, "\n"), "unresponsive"))
			}
		}
		r := start("127.0.0.1:0")
		wantAll(r)
		address := strings.TrimPrefix(r.URL, "http://")
		killed := time.Now()
		r.Signal(syscall.SIGKILL)
		r.Wait()
		wantAll(start(address))
		if took := time.Since(killed); chaos && took > time.Second {
			t.Errorf("got a response of the next exporter after %v, want a second", took)
		}
		blocked.resume()
	})
}

// An unresponsiveCase is one case of TestUnresponsiveProcesses.
type unresponsiveCase struct {
	source, kind string
	count        int
	blockFirst   bool // the processes block before the exporter starts

	exporter  *instance
	blocked   *unresponsive
	cpuBefore float64         // CPU seconds of blocked before the exporter starts
	normal    time.Duration   // of a scrape without blocked processes
	times     []time.Duration // of scrapes while processes block
}

func (c *unresponsiveCase) run(t *testing.T) {
	startIdleProcess(t, "neighbor")
	name := uniqueToken()
	if c.blockFirst {
		c.blocked = startUnresponsive(t, name, c.kind, c.count)
		c.cpuBefore = c.blocked.cpu()
	}
	config := "process_names:\n- name: unresponsive\n  exe: [" + name + ", sharedvm]\n- name: '{{.Comm}}'\n  cmdline: ['.+']\n"
	c.exporter = startSource(t, strings.TrimPrefix(c.source, "--source="), "--config.path", writeFile(t, "c.yml", config))
	if !c.blockFirst {
		c.exporter.Scrape()
		c.normal = c.exporter.timeScrapes(1)[0]
		c.blocked = startUnresponsive(t, name, c.kind, c.count)
	}
	startIdleProcess(t, "newcomer")
	for i := range unresponsiveScrapes {
		c.scrape(t, i)
	}
	threads := threadCount(t, c.exporter.PID)
	t.Logf("duration without blocked processes %v, then %v; %d threads", c.normal, c.times, threads)
	if threads > 24 {
		t.Errorf("got %d threads, want at most 24", threads)
	}
	if checkTimes && c.times[0] > 500*time.Millisecond {
		t.Errorf("got a first scrape of %v, want at most 500 ms", c.times[0])
	}
	c.checkResumed(t)
	if chaos {
		c.checkTimes(t)
	}
}

// scrape scrapes once while processes block. All other processes must be counted.
func (c *unresponsiveCase) scrape(t *testing.T, i int) {
	t.Helper()
	if chaos && i > 12 {
		<-time.After(time.Second)
	}
	start := time.Now()
	body := c.exporter.Scrape()
	c.times = append(c.times, time.Since(start))
	for _, name := range []string{"neighbor", "newcomer"} {
		// The first scrape can share the walk at the start of the exporter.
		if c.blockFirst && i == 0 && name == "newcomer" {
			continue
		}
		if !strings.Contains(body, `num_procs{groupname="`+name+`"} 1`) {
			t.Errorf("scrape %d: got no %s", i, name)
		}
	}
	if !strings.Contains(body, "namedprocess_exporter_scrape_success 1\n") {
		t.Errorf("scrape %d failed", i)
	}
}

// checkResumed unblocks the processes and waits until all are counted, with their CPU time.
func (c *unresponsiveCase) checkResumed(t *testing.T) {
	t.Helper()
	c.blocked.resume()
	testenv.WaitFor(t, "all processes to resume", c.blocked.allResumed)
	all := c.count + 1
	if c.kind == "share" {
		all += c.count
	}
	scrapes := 0
	testenv.WaitFor(t, "all processes to be counted again", func() bool {
		scrapes++
		body := c.exporter.Scrape()
		return strings.Contains(body, `num_procs{groupname="unresponsive"} `+strconv.Itoa(all)+"\n") && !unreadable.MatchString(body)
	}, func() string {
		return strings.Join(linesWith(strings.Split(c.exporter.Scrape(), "\n"), "unresponsive"), "\n")
	})
	if t.Logf("all counted after %d scrapes", scrapes); chaos && scrapes > 2 {
		t.Error("got more than two scrapes until all were counted")
	}
	series, _ := parseMetrics(t, c.exporter.Scrape())
	got, want := series.cpuSeconds("unresponsive"), c.blocked.cpu()-c.cpuBefore
	// procfs omits up to a tick each of user and system time. Processes that existed before
	// the exporter count from its first read of their CPU time, which may be after they resume.
	if n := float64(all); got > want+0.005*n || got < want-0.02*n && !c.blockFirst {
		t.Errorf("got %v seconds of CPU of %d processes, want %v", got, all, want)
	}
}

// checkTimes compares the scrapes with later ones at the same interval.
func (c *unresponsiveCase) checkTimes(t *testing.T) {
	t.Helper()
	for range 5 {
		<-time.After(time.Second)
		c.normal = max(c.normal, c.exporter.timeScrapes(1)[0])
	}
	// One scrape may have waited for a CPU.
	if slices.Sort(c.times[1:]); c.times[len(c.times)-2] > c.normal+50*time.Millisecond {
		t.Errorf("got scrapes of %v, want about the usual %v", c.times[len(c.times)-2:], c.normal)
	}
}
