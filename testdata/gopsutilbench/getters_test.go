package gopsutilbench_test

import (
	"encoding/json"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"

	gopsutil "github.com/shirou/gopsutil/v4/process"

	"github.com/seed57308aee/process_exporter/platform/process"
)

// python is an interpreter with psutil.
const python = "/usr/bin/python3"

// psutilScript prints the CPU time of each getter of a process in nanoseconds as JSON.
const psutilScript = `
import json, sys, time, psutil
p, result = psutil.Process(int(sys.argv[1])), {}
def measure(name, call, n):
    call()
    start = time.process_time()
    for _ in range(n):
        call()
    result[name] = (time.process_time() - start) * 1e9 / n
def oneshot():
    with p.oneshot():
        for name in ("name", "cpu_times", "memory_info", "io_counters", "num_fds", "num_threads"):
            getattr(p, name)()
for name in sys.argv[2].split(","):
    measure(name, getattr(p, name), 500)
measure("oneshot", oneshot, 500)
measure("process_iter", lambda: list(psutil.process_iter(["name", "cpu_times", "memory_info"])), 5)
json.dump(result, sys.stdout)
`

// A getter is one value of a process, by the name of psutil. A package without the
// getter has nil.
type getter struct {
	name    string
	process func(*process.Process) error
	gops    func(*gopsutil.Process) error
}

// of adapts a method to a function that returns its error.
func of[P, T any](method func(P) (T, error)) func(P) error {
	return func(p P) error {
		_, err := method(p)
		return err
	}
}

func connections(p *process.Process) ([]process.Connection, error) {
	return p.Connections(process.ConnectionInet)
}

func memoryMaps(p *gopsutil.Process) (*[]gopsutil.MemoryMapsStat, error) { return p.MemoryMaps(false) }

func children(p *process.Process) (int, error) {
	all, err := p.Children()
	process.CloseAll(all)
	return len(all), err
}

func parent(p *process.Process) (int, error) {
	q, err := p.Parent()
	if err != nil {
		return 0, err
	}
	return q.PID(), q.Close()
}

func getters() []getter {
	return []getter{
		{"ppid", of((*process.Process).PPID), of((*gopsutil.Process).Ppid)},
		{"name", of((*process.Process).Name), of((*gopsutil.Process).Name)},
		{"exe", of((*process.Process).Exe), of((*gopsutil.Process).Exe)},
		{"cmdline", of((*process.Process).Cmdline), of((*gopsutil.Process).CmdlineSlice)},
		{"environ", of((*process.Process).Environ), of((*gopsutil.Process).Environ)},
		{"create_time", of((*process.Process).CreateTime), of((*gopsutil.Process).CreateTime)},
		{"status", of((*process.Process).Status), of((*gopsutil.Process).Status)},
		{"cwd", of((*process.Process).Cwd), of((*gopsutil.Process).Cwd)},
		{"username", of((*process.Process).Username), of((*gopsutil.Process).Username)},
		{"uids", of((*process.Process).UIDs), of((*gopsutil.Process).Uids)},
		{"gids", of((*process.Process).GIDs), of((*gopsutil.Process).Gids)},
		{"terminal", of((*process.Process).Terminal), of((*gopsutil.Process).Terminal)},
		{"nice", of((*process.Process).Nice), of((*gopsutil.Process).Nice)},
		{"ionice", of((*process.Process).IONice), nil},
		{"cpu_affinity", of((*process.Process).CPUAffinity), nil},
		{"cpu_num", of((*process.Process).CPUNum), nil},
		{"cpu_times", of((*process.Process).CPUTimes), of((*gopsutil.Process).Times)},
		{"num_threads", of((*process.Process).NumThreads), of((*gopsutil.Process).NumThreads)},
		{"threads", of((*process.Process).Threads), of((*gopsutil.Process).Threads)},
		{"num_ctx_switches", of((*process.Process).ContextSwitches), of((*gopsutil.Process).NumCtxSwitches)},
		{"memory_info", of((*process.Process).MemoryInfo), of((*gopsutil.Process).MemoryInfo)},
		{"memory_full_info", of((*process.Process).MemoryFullInfo), nil},
		{"io_counters", of((*process.Process).IOCounters), of((*gopsutil.Process).IOCounters)},
		{"num_fds", of((*process.Process).NumFDs), of((*gopsutil.Process).NumFDs)},
		{"open_files", of((*process.Process).OpenFiles), of((*gopsutil.Process).OpenFiles)},
		{"connections", of(connections), of((*gopsutil.Process).Connections)},
		{"memory_maps", of((*process.Process).MemoryMapsByPath), of(memoryMaps)},
		{"children", of(children), of((*gopsutil.Process).Children)},
		{"parent", of(parent), of((*gopsutil.Process).Parent)},
	}
}

// cpuTime returns the CPU time of this program in nanoseconds.
func cpuTime(b *testing.B) int64 {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}

// measure reports the CPU time of call, which does not depend on other programs.
func measure(b *testing.B, call func() error) {
	b.Helper()
	b.ReportAllocs()
	before := cpuTime(b)
	for b.Loop() {
		fatalIf(b, call())
	}
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
}

// BenchmarkGetters reads each value of a process that stays open, with this module,
// gopsutil and psutil.
func BenchmarkGetters(b *testing.B) {
	pid := target(b)
	ours, err1 := process.Open(pid)
	theirs, err2 := gopsutil.NewProcess(int32(pid))
	fatalIf(b, err1, err2)
	defer ours.Close()
	psutil := psutilTimes(b, pid)
	for _, g := range getters() {
		b.Run(g.name+"/process", func(b *testing.B) { measure(b, func() error { return g.process(ours) }) })
		if g.gops != nil {
			b.Run(g.name+"/gopsutil", func(b *testing.B) { measure(b, func() error { return g.gops(theirs) }) })
		}
		reportPsutil(b, g.name, psutil)
	}
	b.Run("oneshot/process", func(b *testing.B) {
		measure(b, func() error { readAll(b, ours.Oneshot()); return nil })
	})
	reportPsutil(b, "oneshot", psutil)
}

// BenchmarkIteration reads name, CPU time and memory of 1,000 more processes.
func BenchmarkIteration(b *testing.B) {
	for range 999 {
		target(b)
	}
	pid := target(b)
	b.Run("process", func(b *testing.B) {
		measure(b, func() error {
			for p, err := range process.All() {
				fatalIf(b, err)
				view := p.Oneshot()
				_, err1 := view.Name()
				_, err2 := view.CPUTimes()
				_, err3 := view.MemoryInfo()
				ignore(err1, err2, err3) // the process may exit
			}
			return nil
		})
	})
	b.Run("gopsutil", func(b *testing.B) {
		measure(b, func() error {
			all, err := gopsutil.Processes()
			for _, p := range all {
				_, err1 := p.Name()
				_, err2 := p.Times()
				_, err3 := p.MemoryInfo()
				ignore(err1, err2, err3)
			}
			return err
		})
	})
	reportPsutil(b, "process_iter", psutilTimes(b, pid))
}

func ignore(...error) {}

// psutilTimes returns a function that runs psutilScript once. The result is empty
// without psutil.
func psutilTimes(b *testing.B, pid int) func() map[string]float64 {
	b.Helper()
	return sync.OnceValue(func() map[string]float64 {
		names := ""
		for _, g := range getters() {
			names += "," + g.name
		}
		out, err := exec.Command(python, "-W", "ignore", "-c", psutilScript, strconv.Itoa(pid), names[1:]).Output()
		times := make(map[string]float64)
		if err == nil {
			err = json.Unmarshal(out, &times)
		}
		if err != nil {
			b.Logf("requires psutil: %v", err)
		}
		return times
	})
}

func reportPsutil(b *testing.B, name string, times func() map[string]float64) {
	b.Helper()
	if name == "process_iter" {
		b.Run("psutil", func(b *testing.B) { b.ReportMetric(times()[name], "cpu-ns/op") })
		return
	}
	b.Run(name+"/psutil", func(b *testing.B) { b.ReportMetric(times()[name], "cpu-ns/op") })
}
