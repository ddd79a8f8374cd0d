package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/testenv"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/test/procfstree"
)

// TestEnvironments starts the exporter with restricted or unusual mounts of /proc and in several
// namespaces. It must report the processes or a failed scrape, but never a successful scrape without
// processes. The scripts run in their own mount namespace; $1 is an empty directory.
func TestEnvironments(t *testing.T) {
	requireRoot(t)
	const whole = "namedprocess_exporter_scrape_success 1\n"
	const failed = "namedprocess_exporter_scrape_success 0\n"
	const sleeper = `namedprocess_namegroup_num_procs{groupname="sleeper"} 1`
	const procfsOnly = `namedprocess_exporter_source_info{source="procfs"} 1`
	const unprivileged = "setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all "
	tests := []struct {
		name, before, prefix string
		procfs               string // "": $1
		want, not            []string
	}{
		{"hidepid=2", "mount -t proc -o hidepid=2 proc $1", unprivileged, "", []string{failed, "namedprocess_exporter_proc_visibility 0\n"},
			[]string{sleeper}},
		{"hidepid=1", "mount -t proc -o hidepid=1 proc $1", unprivileged, "", []string{failed, "namedprocess_exporter_proc_visibility 0\n"},
			[]string{sleeper}},
		{"hidepid=4", "mount -t proc -o hidepid=4 proc $1", unprivileged, "", []string{failed, "namedprocess_exporter_proc_visibility 0\n"},
			[]string{sleeper}},
		{"hidepid=2 as root", "mount -t proc -o hidepid=2 proc $1", "", "", []string{whole, sleeper}, nil},
		{"subset=pid", "mount -t proc -o subset=pid proc $1", unprivileged, "", []string{whole, sleeper}, nil},
		{"a namespace without processes", "unshare -p -f mount -t proc proc $1", "", "", []string{failed},
			[]string{"namedprocess_namegroup_num_procs{"}},
		{"no /proc", "mount --move /proc $1 || { mount --rbind /proc $1 && umount -l /proc; }", "", "", []string{whole, sleeper}, nil},
		{"another namespace", ":", "unshare -p -f --kill-child ", "/proc", []string{whole, sleeper}, nil},
		{"its own namespace", ":", "unshare -p -f --kill-child --mount-proc ", "/proc", []string{whole}, []string{sleeper}},
		{"64 files", "ulimit -n 64", "", "/proc", []string{whole, sleeper}, nil},
		{"read-only", "mount -t proc -o ro proc $1", "", "", []string{whole, sleeper}, nil},
		{"a user namespace", ":", "unshare -U ", "/proc", []string{whole, sleeper, procfsOnly}, nil},
		{"root of a user namespace", ":", "unshare -U -r ", "/proc", []string{whole, sleeper, procfsOnly}, nil},
		{"a control group namespace", ":", "unshare -C ", "/proc", []string{whole, sleeper}, nil},
		// As with LXCFS or a file server that does not respond. Opening a FIFO blocks.
		{"blocked files of the host", "mkfifo $1/f; for f in /proc/stat /proc/uptime /etc/passwd; do mount --bind $1/f $f; done", "", "/proc",
			[]string{whole, sleeper}, nil},
		{"a time namespace", ":", "unshare --time --boottime 100000 ", "/proc", []string{whole, sleeper}, nil},
	}
	startIdleProcess(t, "sleeper")
	for _, source := range []string{"procfs", "auto"} {
		for _, tt := range tests {
			t.Run(source+"/"+tt.name, func(t *testing.T) {
				r := startInMountNamespace(t, tt.before, tt.prefix, source, tt.procfs)
				r.waitForScrape(tt.want, tt.not)
				if strings.Contains(tt.name, "hidepid") && len(tt.not) > 0 {
					r.waitForLog("hidepid") // may arrive after the response
					if len(linesWith(r.Log(), "hidepid")) != 1 {
						t.Errorf("got %q, want one line about hidepid", r.Log())
					}
				}
			})
		}
	}
}

// startInMountNamespace runs a script in a new mount namespace and then starts the exporter with a
// command prefix. $1 of the script is an empty directory, which is also the --procfs of the exporter
// unless procfs is set.
func startInMountNamespace(t *testing.T, before, prefix, source, procfs string) *instance {
	t.Helper()
	dir := worldReadableDir(t)
	if procfs == "" {
		procfs = dir
	}
	script := fmt.Sprintf("set -e; %s; exec %s %s --source=%s --procfs=%s --web.listen-address=127.0.0.1:0", before, prefix,
		executableCopy(t), source, procfs)
	r := startCommand(t, exec.Command("unshare", "-m", "--propagation=private", "sh", "-c", script, "sh", dir))
	r.URL = r.waitForURL()
	return r
}

// waitForScrape waits for a response that contains all of want and none of not.
func (r *instance) waitForScrape(want, not []string) {
	r.t.Helper()
	testenv.WaitFor(r.t, "the expected response", func() bool {
		body := r.Scrape()
		for _, text := range want {
			if !strings.Contains(body, text) {
				return false
			}
		}
		for _, text := range not {
			if strings.Contains(body, text) {
				return false
			}
		}
		return true
	}, r.Scrape)
}

// TestHidepidWithBPF runs the bpf source as a user who sees all processes through bpf, but only its
// own or all processes in /proc.
func TestHidepidWithBPF(t *testing.T) {
	requireRoot(t)
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err != nil {
		t.Skip("the bpf source requires a kernel with BTF")
	}
	if platform.SmapsNeedsPtrace() {
		t.Skip("this kernel can require more capabilities")
	}
	const bpf = `namedprocess_exporter_source_info{source="bpf"} 1`
	const sleeper = `namedprocess_namegroup_num_procs{groupname="sleeper"} 1`
	const unprivileged = "setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all,+bpf,+perfmon --ambient-caps=-all,+bpf,+perfmon "
	hidden := []string{bpf, "namedprocess_exporter_scrape_success 0\n", "namedprocess_exporter_proc_visibility 0\n"}
	shown := []string{bpf, "namedprocess_exporter_scrape_success 1\n", "namedprocess_exporter_proc_visibility 1\n", sleeper}
	startIdleProcess(t, "sleeper")
	for options, want := range map[string][]string{"hidepid=1": hidden, "hidepid=2": hidden, "hidepid=4": hidden,
		"hidepid=2,gid=65534": shown, "hidepid=0": shown} {
		t.Run(options, func(t *testing.T) {
			r := startInMountNamespace(t, "mount -t proc -o "+options+" proc $1", unprivileged, "bpf", "")
			r.waitForScrape(want, nil)
			isHidden := strings.Contains(want[1], "success 0")
			if isHidden {
				r.waitForLog("hidepid") // may arrive after the response
			}
			if got := len(linesWith(r.Log(), "hidepid")) == 1; got != isHidden {
				t.Errorf("got one log line about hidepid: %v, want the opposite: %q", got, r.Log())
			}
		})
	}
}

// TestProcUnmounted unmounts /proc while the exporter runs. The exporter continues with its open
// directory or reports a failed scrape, but never a successful scrape without processes.
func TestProcUnmounted(t *testing.T) {
	requireRoot(t)
	nsenter := testenv.RequireProgram(t, "nsenter")
	startIdleProcess(t, "sleeper")
	const sleeper = `namedprocess_namegroup_num_procs{groupname="sleeper"} 1`
	for _, source := range []string{"procfs", "auto"} {
		t.Run(source, func(t *testing.T) {
			dir := worldReadableDir(t)
			script := `mount -t proc proc "$1" && exec "$0" --source=` + source + ` --procfs="$1" --web.listen-address=127.0.0.1:0`
			r := startCommand(t, exec.Command("unshare", "-m", "--propagation=private", "sh", "-c", script, binary, dir))
			r.URL = r.waitForURL()
			last := make(sampleSet)
			last.update(t, r.Scrape())
			for _, enter := range [][]string{{"umount", "-l", dir}, {"umount", "-l", "/proc"}} {
				if out, err := exec.Command(nsenter, append([]string{"-m", "-t", strconv.Itoa(r.PID)}, enter...)...).CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				for range 3 {
					body := r.Scrape()
					switch series := last.update(t, body); {
					case series["namedprocess_exporter_scrape_success{}"] == 0:
					case !strings.Contains(body, sleeper):
						t.Errorf("after %q: got a successful scrape without the process: %q", enter, linesWith(strings.Split(body, "\n"), "num_procs"))
					}
				}
			}
			if status := r.Stop(); status != 0 {
				t.Errorf("got exit status %d, want 0", status)
			}
		})
	}
}

// TestPIDNamespaceEnds ends the PID namespace that the exporter reads. A scrape of the empty procfs
// must fail.
func TestPIDNamespaceEnds(t *testing.T) {
	requireRoot(t)
	dir := worldReadableDir(t)
	script := `exec 3>&1; mkfifo "$1/hold"; mkdir "$1/proc"
unshare -p -f --kill-child sh -c 'mount -t proc proc "$0/proc"; read end <"$0/hold"' "$1" 3>&- &
until test -e "$1/proc/1"; do :; done
exec "$0" --source=procfs --procfs="$1/proc" --web.listen-address=127.0.0.1:0 --config.path="$1/rules.yaml"`
	if err := os.WriteFile(filepath.Join(dir, "rules.yaml"), []byte(oneGroup("all")), 0o600); err != nil {
		t.Fatal(err)
	}
	r := startCommand(t, exec.Command("unshare", "-m", "--propagation=private", "sh", "-c", script, binary, dir))
	r.URL = r.waitForURL()
	last := make(sampleSet)
	testenv.WaitFor(t, "the processes of the namespace", func() bool {
		series := last.update(t, r.Scrape())
		return series["namedprocess_exporter_scrape_success{}"] == 1 && series[`namedprocess_namegroup_num_procs{groupname="all"}`] == 1
	})
	hold, err := os.OpenFile(filepath.Join(dir, "hold"), os.O_WRONLY, 0)
	if err := errors.Join(err, hold.Close()); err != nil { // ends the first process of the namespace
		t.Fatal(err)
	}
	testenv.WaitFor(t, "a failed scrape", func() bool {
		series := last.update(t, r.Scrape())
		procs := series[`namedprocess_namegroup_num_procs{groupname="all"}`]
		if ok := series["namedprocess_exporter_scrape_success{}"] == 1; ok && procs == 0 {
			t.Fatal("got a successful scrape without processes")
		} else if ok {
			return false
		}
		return true
	})
	if status := r.Stop(); status != 0 {
		t.Errorf("got exit status %d, want 0", status)
	}
}

// worldReadableDir returns a directory that every user can read. It is removed at the end of the test.
func worldReadableDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "procfs")
	if err := errors.Join(err, os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// TestUnexpectedProcEntries adds files and directories with names that are not PIDs to a copy of
// /proc.
func TestUnexpectedProcEntries(t *testing.T) {
	for _, source := range []string{"procfs", "auto"} {
		tree := procfstree.New(t, 1000)
		for pid := 10; pid < 20; pid++ {
			tree.Set(procfstree.Process{PID: pid, Comm: "p", Args: []string{"x"}, Start: 5})
		}
		at := func(name string) string { return filepath.Join(tree.Root, name) }
		for _, name := range []string{"21", "023", "24x", "x25", "-26", "+27", " 28", "29\n", "99999999999999999999", "4294967297", "0", "１２",
			"\xff", "3 0", "1e1", "0x1f"} {
			if err := os.WriteFile(at(name), []byte("noise"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range []string{"41", "42a", "-43", "044", "0000000000000000010", "99999999999999999998", "4294967306",
			"18446744073709551626"} {
			if err := os.Mkdir(at(name), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		err := errors.Join(os.Symlink("/nonexistent", at("51")), os.Symlink("10", at("52x")), os.Symlink("55", at("55")),
			unix.Mkfifo(at("53"), 0o600))
		if err != nil {
			t.Fatal(err)
		}
		r := startExporter(t, "--source="+source, "--procfs", tree.Root, "--config.path", writeFile(t, "c.yml", oneGroup("all")))
		for range 3 {
			series, _ := parseMetrics(t, r.Scrape())
			got, ok := series[`namedprocess_namegroup_num_procs{groupname="all"}`], series["namedprocess_exporter_scrape_success{}"]
			if got != 10 || ok != 1 {
				t.Errorf("%s: got %v processes, success %v, want 10 and success 1", source, got, ok)
			}
		}
		if lines := linesWith(r.Log(), "level=ERROR"); len(lines) > 0 {
			t.Errorf("got %q, want no errors", lines)
		}
	}
}

// TestProcessLimit limits the exporter to one thread, with which the Go runtime cannot start, and to
// 64.
func TestProcessLimit(t *testing.T) {
	requireRoot(t)
	startIdleProcess(t, "sleeper")
	bash := testenv.RequireProgram(t, "bash")
	for _, limit := range []string{"1", "64"} {
		t.Run(limit, func(t *testing.T) {
			const user = "65531" // no other process runs as this user
			command := exec.Command(bash, "-c",
				`ulimit -u `+limit+`; exec setpriv --reuid=`+user+` --regid=`+user+` --clear-groups --inh-caps=-all "$0" "$@"`,
				executablePlainCopy(t), "--source=procfs", "--web.listen-address=127.0.0.1:0")
			r := startCommand(t, command)
			if !r.waitForStart() {
				r.checkStartupError()
				return
			}
			if body := r.Scrape(); !strings.Contains(body, "namedprocess_exporter_scrape_success 1\n") ||
				!strings.Contains(body, `num_procs{groupname="sleeper"} 1`) {
				t.Errorf("got %.500s, want a successful scrape with the sleeper", body)
			}
		})
	}
}

// TestSuspendedExporter stops the exporter with SIGSTOP for a while. It must count the CPU time that
// was used during the stop.
func TestSuspendedExporter(t *testing.T) {
	worker := startWorker(t, "while-stopped")
	r := startExporter(t, "--config.path", writeFile(t, "c.yml", "process_names:\n- {name: worker, cmdline: while-stopped}\n"))
	last := make(sampleSet)
	before := last.update(t, r.Scrape()).cpuSeconds("worker")
	r.Signal(unix.SIGSTOP)
	worker.do("cpu 100")
	answered := make(chan string)
	go func() { answered <- r.Scrape() }()
	r.Signal(unix.SIGCONT)
	series := last.update(t, <-answered)
	if got := series.cpuSeconds("worker") - before; got < 0.08 || got > 5 || series["namedprocess_exporter_scrape_success{}"] != 1 {
		t.Errorf("got %v CPU seconds, want 0.1", got)
	}
}

// TestFileDescriptorLimit opens more connections than the exporter has file descriptors. Scrapes
// continue, and no process is missing.
func TestFileDescriptorLimit(t *testing.T) {
	startIdleProcess(t, "sleeper")
	r := startCommand(t, exec.Command("sh", "-c", `ulimit -n 64; exec "$0" "$@"`, binary, "--web.listen-address=127.0.0.1:0",
		"--source=procfs"))
	r.URL = r.waitForURL()
	for range 200 {
		r.dial()
	}
	for range 5 {
		body := r.Scrape()
		if !strings.Contains(body, "namedprocess_exporter_scrape_success 1\n") || !strings.Contains(body, `num_procs{groupname="sleeper"} 1`) {
			t.Errorf("got %.500s, want a successful scrape with the sleeper", body)
		}
	}
	if lines := linesWith(r.Log(), "too many open files"); len(lines) > 0 {
		t.Errorf("got %q, want no errors", lines)
	}
}

// TestStartTimeInTimeNamespace checks the start time of a process when the exporter runs in a time
// namespace with a boot time offset.
func TestStartTimeInTimeNamespace(t *testing.T) {
	requireRoot(t)
	startIdleProcess(t, "sleeper")
	for _, source := range []string{"procfs", "auto"} {
		r := startCommand(t, exec.Command("unshare", "--time", "--boottime", "100000", binary, "--web.listen-address=127.0.0.1:0",
			"--source="+source))
		r.URL = r.waitForURL()
		metrics, _ := parseMetrics(t, r.Scrape())
		got := metrics[`namedprocess_namegroup_oldest_start_time_seconds{groupname="sleeper"}`]
		if age := float64(time.Now().Unix()) - got; age < -2 || age > 60 {
			t.Errorf("%s: got an age of %v s for a process that has just started", source, age)
		}
		_ = r.Stop()
	}
}
