//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A check is one line of the table.
type check struct {
	name string
	run  func() error
}

// A suite holds the exporters and workers that several checks use.
type suite struct {
	auto, procfs *exporter // as root
	workers      []*worker
}

func (s *suite) checks() []check {
	search, ptrace := uintptr(unix.CAP_DAC_READ_SEARCH), uintptr(unix.CAP_SYS_PTRACE)
	return []check{
		{"live", s.compareLive},
		{"memory", s.compareMemory},
		{"cgroups", s.compareCgroups},
		{"exited", s.compareExited},
		{"exit codes", s.countExitCodes},
		{"OOM kill", s.countOOMKill},
		{"112 short-lived", s.countShortLived},
		{"network", s.checkNetwork},
		{"no capabilities", func() error { return compareAs(user{}, checkMissing, "--source=auto") }},
		{"CAP_BPF", s.runWithBPF},
		{"CAP_SYS_PTRACE", func() error {
			return compareAs(user{capabilities: []uintptr{ptrace, search}}, checkNoneMissing, "--source=procfs")
		}},
		{"hidepid", runWithHidePID},
		{"no JIT", func() error { return runWithout("/proc/sys/net/core/bpf_jit_enable", "0", "1") }},
		{"lockdown", func() error { return runWithout("/sys/kernel/security/lockdown", "confidentiality", "none") }},
	}
}

// startExporters starts one exporter for each source.
func (s *suite) startExporters() (err error) {
	if s.procfs, err = run(user{root: true}, "--source=procfs"); err != nil {
		return err
	}
	if s.auto, err = run(user{root: true}, "--source=auto"); err == nil && s.auto.source != "bpf" {
		err = fmt.Errorf("got source %s, reason %s, want bpf", s.auto.source, s.auto.reason)
	}
	return err
}

// compareLive compares waiting workers with /proc.
func (s *suite) compareLive() error {
	for _, verbs := range [][]string{
		{"cpu", "cpu=300"}, {"io", "write=4", "read=4"}, {"faults", "memory=8"}, {"switches", "sleep=200"},
		{"threads", "threads=5", "cpu=20"}, {"exited", "exited=200"}, {"exec", "cpu=100", "exec=execed", "cpu=100"},
	} {
		w, err := start(verbs[0], nil, append(verbs[1:], "wait")...)
		if err != nil {
			return err
		}
		s.workers = append(s.workers, w)
	}
	return errors.Join(compare(s.auto, s.workers), compare(s.procfs, s.workers))
}

// compare compares the groups of workers with /proc. It tries again, because the runtime of a
// worker may start a thread between two reads.
func compare(e *exporter, workers []*worker, skip ...string) (err error) {
	for range 3 {
		if err = compareOnce(e, workers, skip...); err == nil {
			return nil
		}
	}
	return err
}

func compareOnce(e *exporter, workers []*worker, skip ...string) error {
	got, err := e.scrape()
	errs := []error{err}
	for _, w := range workers {
		want, err := procUsage(w.cmd.Process.Pid)
		group, skipped := w.name, skip
		if group == "exec" { // the counters before execve(2) are in another group
			group, skipped = "execed", []string{"cpu", "minor_faults", "major_faults", "switches", "read_bytes"}
		}
		if d := difference(got.groupUsage(group), want, skipped...); d != "" || err != nil {
			errs = append(errs, fmt.Errorf("%s, group %s: %s (%v)", e.source, group, d, err))
		}
	}
	return errors.Join(errs...)
}

// compareMemory compares the resident memory of 12 small processes and of a large one with
// statm. The kernel keeps a part of the counters per CPU since Linux 6.2.
func (s *suite) compareMemory() error {
	size := "memory=64"
	if runtime.NumCPU() >= 16 {
		size = "memory=1024"
	}
	want := map[string]map[string]float64{"small": {}, "large": {}}
	for i := range 13 {
		name, verb := "small", "memory=1"
		if i == 12 {
			name, verb = "large", size
		}
		w, err := start(name, nil, verb, "wait")
		if err != nil {
			return err
		}
		defer w.end()
		usage, err := procUsage(w.cmd.Process.Pid)
		if err != nil {
			return err
		}
		want[name]["resident"] += usage["resident"]
		want[name]["threads"] += usage["threads"]
	}
	var errs []error
	for _, e := range []*exporter{s.auto, s.procfs} {
		got, err := e.scrape()
		errs = append(errs, err)
		for group := range want {
			if d := difference(got.groupUsage(group), want[group]); d != "" {
				errs = append(errs, fmt.Errorf("%s, group %s: %s", e.source, group, d))
			}
		}
	}
	return errors.Join(errs...)
}

// compareCgroups finds processes by their cgroup of version 1 and of version 2.
func (s *suite) compareCgroups() error {
	var errs []error
	for version, dir := range map[string]string{"v1": "/sys/fs/cgroup/systemd/kernels-v1", "v2": "/sys/fs/cgroup/unified/kernels-v2"} {
		w, err := start("in-cgroup", nil, "wait")
		if err != nil {
			return err
		}
		defer w.end()
		if err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(dir+"/cgroup.procs", fmt.Append(nil, w.cmd.Process.Pid), 0)); err != nil {
			return err
		}
		for _, e := range []*exporter{s.auto, s.procfs} {
			got, err := e.scrape()
			if n := got[version+" in-cgroup num_procs{}"]; n != 1 || err != nil {
				errs = append(errs, fmt.Errorf("%s, cgroup %s: got %v processes, error %v, want 1", e.source, version, n, err))
			}
		}
	}
	return errors.Join(errs...)
}

func (s *suite) hasBPF() bool { return s.auto != nil && s.auto.source == "bpf" }

// compareExited compares the counters of the same workers after their end with wait4(2).
func (s *suite) compareExited() error {
	usage := make(map[string]*syscall.Rusage)
	for _, w := range s.workers {
		usage[w.name] = w.end()
	}
	if !s.hasBPF() {
		return errSkipped
	}
	return eventually(s.auto, func(got scrape) (err error) {
		for name, u := range usage {
			values, last := got.groupUsage(name), name
			if name == "exec" {
				last = "execed"
				for key, v := range got.groupUsage(last) {
					values[key] += v
				}
			}
			d := difference(values, map[string]float64{
				"cpu":          seconds(u),
				"minor_faults": float64(u.Minflt), "major_faults": float64(u.Majflt), "switches": float64(u.Nvcsw + u.Nivcsw),
				"read_bytes": float64(u.Inblock) * 512, "write_bytes": float64(u.Oublock) * 512,
			})
			if n := got[last+` exits_total{code="0",reason="exited"}`]; n != 1 || d != "" {
				err = errors.Join(err, fmt.Errorf("group %s: %s; got %v exits, want 1", name, d, n))
			}
		}
		return err
	})
}

// seconds returns the CPU time of a usage.
func seconds(u *syscall.Rusage) float64 { return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9 }

// eventually repeats scrapes until ok returns nil: some exits are reported late.
func eventually(e *exporter, ok func(scrape) error) error {
	for end := time.Now().Add(time.Minute); ; time.Sleep(500 * time.Millisecond) {
		got, err := e.scrape()
		if err == nil {
			err = ok(got)
		}
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}

// countShortLived counts processes that no scrape sees.
func (s *suite) countShortLived() error {
	if !s.hasBPF() {
		return errSkipped
	}
	const processes = 112
	before, err := s.auto.scrape()
	if err != nil {
		return err
	}
	var used float64
	for range processes / 8 {
		var running []*worker
		for range 8 {
			w, err := start("short", nil, "exit=3")
			if err != nil {
				return err
			}
			running = append(running, w)
		}
		for _, w := range running {
			used += seconds(w.end())
		}
	}
	return eventually(s.auto, func(got scrape) error {
		added := func(series string) float64 { return got["short "+series] - before["short "+series] }
		starts, exits := added("starts_total{}"), added(`exits_total{code="3",reason="exited"}`)
		cpu := got.groupUsage("short")["cpu"] - before.groupUsage("short")["cpu"]
		if starts != processes || exits != processes || max(cpu-used, used-cpu) > 0.01*used {
			return fmt.Errorf("got %v starts, %v exits, %v s, want %d, %d, %v s; %v lost exit events",
				starts, exits, cpu, processes, processes, used, got["namedprocess_exporter_lost_exit_events_total"])
		}
		return nil
	})
}

// countExitCodes counts exit statuses and signals.
func (s *suite) countExitCodes() error {
	if !s.hasBPF() {
		return errSkipped
	}
	for _, verb := range []string{"exit=0", "exit=7", "kill=9", "kill=15"} {
		w, err := start("codes", nil, verb)
		if err != nil {
			return err
		}
		w.end()
	}
	return eventually(s.auto, func(got scrape) error {
		for _, labels := range []string{`code="0",reason="exited"`, `code="7",reason="exited"`,
			`code="SIGKILL",reason="killed"`, `code="SIGTERM",reason="killed"`} {
			if n := got["codes exits_total{"+labels+"}"]; n != 1 {
				return fmt.Errorf("got %v exits with %s, want 1", n, labels)
			}
		}
		return nil
	})
}

// countOOMKill counts a process that exceeds the limit of its cgroup.
func (s *suite) countOOMKill() error {
	if !s.hasBPF() {
		return errSkipped
	}
	const dir = "/sys/fs/cgroup/unified/oom"
	if err := errors.Join(
		os.WriteFile("/sys/fs/cgroup/unified/cgroup.subtree_control", []byte("+memory"), 0),
		os.Mkdir(dir, 0o755), os.WriteFile(dir+"/memory.max", []byte("24M"), 0),
	); err != nil {
		return err
	}
	cgroup, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer cgroup.Close()
	w, err := start("oom", func(cmd *exec.Cmd) {
		cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(cgroup.Fd())}
	}, "memory=64")
	if err != nil {
		return err
	}
	w.end()
	return eventually(s.auto, func(got scrape) error {
		kills, exits := got["oom oom_kills_total{}"], got[`oom exits_total{code="SIGKILL",reason="killed"}`]
		if kills != 1 || exits != 1 {
			return fmt.Errorf("got %v OOM kills, %v exits by SIGKILL, want 1 and 1", kills, exits)
		}
		return nil
	})
}
