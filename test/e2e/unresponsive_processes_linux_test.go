package e2e

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// victims are processes of which the kernel does not answer every question.
type unresponsive struct {
	t       *testing.T
	command *exec.Cmd
	dir     string
}

var buildEdgeCase = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(binary), "edgecase")
	if out, err := exec.Command("go", "build", "-o", path, "./testdata/edgecase").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return path, nil
})

// buildSharer returns the program that victims of the kind "share" run.
var buildSharedVM = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(binary), "sharedvm")
	if out, err := exec.Command("cc", "-O2", "-o", path, "testdata/sharedvm/sharedvm.c").CombinedOutput(); err != nil {
		return "", fmt.Errorf("cc: %w: %s", err, out)
	}
	return path, nil
})

// startVictims starts so many of a kind that testdata/edgecase knows.
func startUnresponsive(t *testing.T, kind string, count int) *unresponsive {
	t.Helper()
	what := fmt.Sprintf("unresponsive=%s,%d", kind, count)
	if kind != "share" {
		return startFuse(t, what)
	}
	requireProgram(t, "cc")
	sharer, err := buildSharedVM()
	if err != nil {
		t.Fatal(err)
	}
	return startFuse(t, what, "SHAREDVM="+sharer)
}

// startOdd starts testdata/edgecase with a file system of its own.
func startFuse(t *testing.T, what string, environment ...string) *unresponsive {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can mount a file system")
	}
	if f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0); err != nil {
		t.Skipf("no file systems in user space: %v", err)
	} else if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	path, err := buildEdgeCase()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/tmp", "unresponsive")
	if err != nil {
		t.Fatal(err)
	}
	v := &unresponsive{t, exec.Command(path, what+","+filepath.Join(dir, "f")), dir}
	v.command.Env = append(os.Environ(), environment...)
	in, err := v.command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := v.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := v.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = v.command.Process.Kill() // the kernel ends its children, and what they wait for
		_ = v.command.Wait()
		_ = os.RemoveAll(dir)
	})
	if lines := bufio.NewScanner(out); !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("got %q of the victims", lines.Text())
	}
	return v
}

// release lets all of them go on.
func (v *unresponsive) release() {
	v.t.Helper()
	if err := v.command.Process.Signal(syscall.SIGUSR1); err != nil {
		v.t.Fatal(err)
	}
}

// pids returns those of the victims, of their children and of the process that holds
// them.
func (v *unresponsive) pids() []int {
	v.t.Helper()
	pids := []int{v.command.Process.Pid}
	for i := 0; i < len(pids); i++ {
		pids = append(pids, children(v.t, pids[i])...)
	}
	return pids
}

// free reports whether nothing keeps any of them.
func (v *unresponsive) free() bool { return v.waiting() == 0 }

// waiting returns how many of them wait: in a sleep that no signal ends, or within
// execve(2), with nothing but a stack for the program to come.
func (v *unresponsive) waiting() (n int) {
	for _, pid := range v.pids() {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) // which always answers
		if err != nil || waitingState.Match(text) {
			n++
		}
	}
	return n
}

var waitingState = regexp.MustCompile(`(?m)^State:\tD|^VmSize:\t +4 kB`)

// cpu returns the seconds that they have used.
func (v *unresponsive) cpu() (seconds float64) {
	v.t.Helper()
	for _, pid := range v.pids() {
		const scheduler = 2 // CPUCLOCK_SCHED, beside the complement of a PID (linux/posix-timers.h)
		var used unix.Timespec
		if err := unix.ClockGettime(int32(^pid<<3|scheduler), &used); err != nil {
			v.t.Fatal(err)
		}
		seconds += time.Duration(used.Nano()).Seconds()
	}
	return seconds
}

// threadsOf returns the number of threads of a process, without asking what may
// not be answered.
func threadCount(t *testing.T, pid int) int {
	t.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(tasks)
}

// unreadNeighbour matches what says that a file of a neighbor could not be read.
var unreadableNeighbor = regexp.MustCompile(`unreadable_procs\{file="[a-z]+",groupname="neighbor"\} [1-9]`)

// TestUnresponsiveOnceKnown has processes that block when the exporter knows them. They
// keep their memory, and the rest of the machine is read all the time.
func TestUnresponsiveOnceKnown(t *testing.T) {
	const count = 20
	eachSource(t, func(t *testing.T, source string) {
		for _, kind := range []string{"mmap", "exec"} {
			for _, rules := range []string{"exe: [edgecase, exe]", "comm: [edgecase, exe]"} {
				t.Run(kind+" "+rules[:4], func(t *testing.T) {
					startIdleProcess(t, "neighbor")
					held := startUnresponsive(t, kind+" later", count)
					config := writeFile(t, "c.yml", "process_names:\n- {name: unresponsive, "+rules+"}\n- {name: neighbor, comm: neighbor}\n")
					r := startSource(t, strings.TrimPrefix(source, "--source="), "--config.path", config)
					last := make(sampleSet)
					const procs, unread = `namedprocess_namegroup_num_procs{groupname="unresponsive"}`, `namedprocess_namegroup_unreadable_procs{file="stat",groupname="unresponsive"}`
					eventually(t, "all of them", func() bool {
						series := last.follow(t, r.Scrape())
						return series[procs] == count+1 && series[unread] == 0
					})
					const resident = `namedprocess_namegroup_memory_bytes{groupname="unresponsive",memtype="resident"}`
					before := last.follow(t, r.Scrape())[resident]
					if err := held.command.Process.Signal(syscall.SIGUSR2); err != nil {
						t.Fatal(err)
					}
					eventually(t, "all to wait", func() bool { return held.waiting() == count })
					for range unresponsiveScrapes {
						body := r.Scrape()
						series := last.follow(t, body)
						if found := unreadableNeighbor.FindString(body); found != "" || series[`namedprocess_namegroup_num_procs{groupname="neighbor"}`] != 1 {
							t.Errorf("the neighbor was not read: %q", found)
						}
						// Within execve(2) they have given up most of it.
						if got := series[resident]; series[procs] != count+1 || kind == "mmap" && got < before/2 || got <= 0 || got > before*2 {
							t.Errorf("got %v victims with %v bytes, want %v", series[procs], got, before)
						}
					}
					if threads := threadCount(t, r.PID); threads > 24 {
						t.Errorf("got %d threads", threads)
					}
					held.release()
					eventually(t, "all to be free", held.free)
					eventually(t, "all to be read", func() bool {
						series := last.follow(t, r.Scrape())
						return series[procs] == count+1 && series[unread] == 0 && series["namedprocess_exporter_unresponsive_processes{}"] == 0
					})
				})
			}
		}
	})
}

// TestUnresponsiveProcesses has many processes that cannot be read, those with their
// memory locked and those in execve(2), which waits for a file to be closed or for
// such a lock, from before the exporter starts or since then, for both sources. The
// rest of the machine must be there all the time.
func TestUnresponsiveProcesses(t *testing.T) {
	const config = "process_names:\n  - name: unresponsive\n    exe: [edgecase, exe, sharedvm]\n  - name: '{{.Comm}}'\n    cmdline: ['.+']\n"
	counts := map[string][]int{"mmap": {200}, "exec": {50}, "share": {50}}
	if chaos {
		counts = map[string][]int{"mmap": {1, 200}, "exec": {1, 50}, "share": {1, 50}}
	}
	eachSource(t, func(t *testing.T, source string) {
		for kind, counts := range counts {
			for _, count := range counts {
				for _, early := range []bool{true, false} {
					t.Run(fmt.Sprintf("%d %s/early=%v", count, kind, early), func(t *testing.T) {
						testUnresponsive(t, strings.TrimPrefix(source, "--source="), kind, count, early, config)
					})
				}
			}
		}
	})
}

// blockedScrapes is how many scrapes a victim holds out: half a minute of one a
// second, after the first few.
var unresponsiveScrapes = map[bool]int{false: 12, true: 42}[chaos]

// TestLockedEpollFdinfo has processes whose fdinfo would hold who reads it until they
// are let go, even beyond SIGKILL, and with it the port. The exporter does not read
// it: it answers, and when it is killed another one can take its place.
func TestLockedEpollFdinfo(t *testing.T) {
	eachSource(t, func(t *testing.T, source string) {
		const config = "process_names:\n  - {name: unresponsive, exe: [edgecase, exe]}\n"
		held := startUnresponsive(t, "epoll", 10)
		start := func(address string) *instance {
			path, err := plainBinary()
			if err != nil {
				t.Fatal(err)
			}
			r := startCommand(t, exec.Command(path, source, "--web.listen-address="+address, "--config.path", writeFile(t, "c.yml", config)))
			r.URL = r.waitForURL()
			return r
		}
		wantAll := func(r *instance) {
			if body := r.Scrape(); !strings.Contains(body, `num_procs{groupname="unresponsive"} 11`) {
				t.Errorf("got %v", linesWith(strings.Split(body, "\n"), "unresponsive"))
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
			t.Errorf("the next exporter answered after %v", took)
		}
		held.release()
	})
}

func testUnresponsive(t *testing.T, source, kind string, count int, early bool, config string) {
	startIdleProcess(t, "neighbor")
	var held *unresponsive
	if early {
		held = startUnresponsive(t, kind, count)
	}
	path, err := plainBinary()
	if err != nil {
		t.Fatal(err)
	}
	r := startCommand(t, exec.Command(path, "--source="+source, "--web.listen-address=127.0.0.1:0", "--config.path", writeFile(t, "c.yml", config)))
	r.URL = r.waitForURL()
	normal := time.Duration(0)
	if !early {
		r.Scrape()
		start := time.Now()
		r.Scrape()
		normal = time.Since(start)
		held = startUnresponsive(t, kind, count)
	}
	startIdleProcess(t, "newcomer")
	var times []time.Duration
	for i := range unresponsiveScrapes {
		if chaos && i > 12 {
			<-time.After(time.Second)
		}
		start := time.Now()
		body := r.Scrape()
		times = append(times, time.Since(start))
		for _, name := range []string{"neighbor", "newcomer"} {
			// The first scrape may share the walk that the start began.
			if early && i == 0 && name == "newcomer" {
				continue
			}
			if !strings.Contains(body, `num_procs{groupname="`+name+`"} 1`) {
				t.Errorf("scrape %d lacks %s", i, name)
			}
		}
		if !strings.Contains(body, "namedprocess_exporter_scrape_success 1\n") {
			t.Errorf("scrape %d was no success", i)
		}
	}
	threads := threadCount(t, r.PID)
	t.Logf("normal %v, then %v; %d threads", normal, times, threads)
	if threads > 24 {
		t.Errorf("got %d threads, want at most 24", threads)
	}
	if checkTimes && times[0] > 500*time.Millisecond {
		t.Errorf("the first scrape took %v", times[0])
	}
	held.release()
	eventually(t, "all to be free", held.free)
	all := count + 1
	if kind == "share" {
		all += count
	}
	scrapes := 0
	eventually(t, "all to be there again", func() bool {
		scrapes++
		body := r.Scrape()
		return strings.Contains(body, `num_procs{groupname="unresponsive"} `+strconv.Itoa(all)+"\n") &&
			strings.Contains(body, "namedprocess_exporter_unresponsive_processes 0\n")
	}, func() string { return strings.Join(linesWith(strings.Split(r.Scrape(), "\n"), "unresponsive"), "\n") })
	series, _ := parseMetrics(t, r.Scrape())
	const cpu = `namedprocess_namegroup_cpu_seconds_total{groupname="unresponsive",mode=`
	// They wait for their input, and use nothing any more. Of those that were there
	// before the exporter it counts what they use from then on, which is little.
	got, want := series[cpu+`"user"}`]+series[cpu+`"system"}`], held.cpu()
	if early {
		want = 0
	}
	// By /proc, up to a tick each of user and system time is not told.
	if n := float64(all); got > want+0.005*n || got < want-0.02*n {
		t.Errorf("got %v seconds of CPU of %d processes, want %v", got, all, want)
	}
	if chaos {
		for range 5 { // at the same pace
			<-time.After(time.Second)
			start := time.Now()
			r.Scrape()
			normal = max(normal, time.Since(start))
		}
		// One may have waited for a CPU.
		if slices.Sort(times[1:]); times[len(times)-2] > normal+50*time.Millisecond {
			t.Errorf("scrapes took %v, and %v when nothing was in the way", times[len(times)-2:], normal)
		}
		if scrapes > 2 {
			t.Error("they were not all there after two scrapes")
		}
	}
	t.Logf("all there after %d scrapes", scrapes)
}
