package main

import (
	"bufio"
	"fmt"
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

// victims are processes of which the kernel does not answer every question.
type victims struct {
	t       *testing.T
	command *exec.Cmd
	dir     string
}

var buildOdd = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(binary), "odd")
	if out, err := exec.Command("go", "build", "-o", path, "./testdata/odd").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return path, nil
})

// startVictims starts so many of a kind that testdata/odd knows.
func startVictims(t *testing.T, kind string, count int) *victims {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can mount a file system")
	}
	if f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0); err != nil {
		t.Skipf("no file systems in user space: %v", err)
	} else if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	path, err := buildOdd()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/tmp", "victims")
	if err != nil {
		t.Fatal(err)
	}
	v := &victims{t, exec.Command(path, fmt.Sprintf("victims=%s,%d,%s", kind, count, filepath.Join(dir, "f"))), dir}
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
func (v *victims) release() {
	v.t.Helper()
	if err := v.command.Process.Signal(syscall.SIGUSR1); err != nil {
		v.t.Fatal(err)
	}
}

// threadsOf returns the number of threads of a process, without asking what may
// not be answered.
func threadsOf(t *testing.T, pid int) int {
	t.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(tasks)
}

// TestBlockedProcesses has many processes that cannot be read, those with their
// memory locked and those in execve(2), from before the exporter starts or since
// then, for both sources. The rest of the machine must be there all the time.
func TestBlockedProcesses(t *testing.T) {
	counts := map[string]int{"mmap": 200, "exec": 50}
	const config = "process_names:\n  - name: victims\n    exe: [odd, exe]\n  - name: '{{.Comm}}'\n    cmdline: ['.+']\n"
	for _, source := range []string{"procfs", "bpf"} {
		for kind, count := range counts {
			for _, early := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s/%s/early=%v", source, kind, early), func(t *testing.T) {
					if source == "bpf" {
						needBPF(t)
					}
					testBlocked(t, source, kind, count, early, config)
				})
			}
		}
	}
}

func testBlocked(t *testing.T, source, kind string, count int, early bool, config string) {
	startNamed(t, "neighbour")
	var held *victims
	if early {
		held = startVictims(t, kind, count)
	}
	path, err := plainBinary()
	if err != nil {
		t.Fatal(err)
	}
	r := startCommand(t, exec.Command(path, "--source="+source, "--web.listen-address=127.0.0.1:0", "--config.path", writeFile(t, "c.yml", config)))
	r.URL = r.firstAddress()
	normal := time.Duration(0)
	if !early {
		r.Scrape()
		start := time.Now()
		r.Scrape()
		normal = time.Since(start)
		held = startVictims(t, kind, count)
	}
	startNamed(t, "newcomer")
	var times []time.Duration
	for i := range 12 {
		start := time.Now()
		body := r.Scrape()
		times = append(times, time.Since(start))
		for _, name := range []string{"neighbour", "newcomer"} {
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
	threads := threadsOf(t, r.PID)
	t.Logf("normal %v, then %v; %d threads", normal, times, threads)
	if threads > 24 {
		t.Errorf("got %d threads, want at most 24", threads)
	}
	if chaos && times[0] > 500*time.Millisecond {
		t.Errorf("the first scrape took %v", times[0])
	}
	before, _ := parseMetrics(t, r.Scrape())
	held.release()
	scrapes := 0
	eventually(t, "all to be there again", func() bool {
		scrapes++
		body := r.Scrape()
		return strings.Contains(body, `num_procs{groupname="victims"} `+strconv.Itoa(count+1)+"\n") &&
			strings.Contains(body, "namedprocess_exporter_blocked_processes 0\n")
	}, func() string { return strings.Join(grep(strings.Split(r.Scrape(), "\n"), "victims"), "\n") })
	after, _ := parseMetrics(t, r.Scrape())
	const cpu = `namedprocess_namegroup_cpu_seconds_total{groupname="victims",mode="user"}`
	if used := after[cpu] - before[cpu]; used < 0 || used > 60 {
		t.Errorf("got %v seconds of CPU at the release", used)
	}
	t.Logf("all there after %d scrapes", scrapes)
}
