package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// asRoot skips a test that has to mount something.
func asRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can mount a process file system")
	}
}

// TestEnvironments starts the exporter where /proc is not what it uses to be.
// Each time it tells what is, or that it cannot, but never success with nothing.
// The scripts run in a mount namespace of their own; $1 is an empty directory.
func TestEnvironments(t *testing.T) {
	asRoot(t)
	const whole = "namedprocess_exporter_scrape_success 1\n"
	const failed = "namedprocess_exporter_scrape_success 0\n"
	const sleeper = `namedprocess_namegroup_num_procs{groupname="sleeper"} 1`
	const nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all "
	tests := []struct {
		name, before, prefix string
		procfs               string // "" is $1
		want, not            []string
	}{
		{"hidepid=2", "mount -t proc -o hidepid=2 proc $1", nobody, "", []string{failed, "namedprocess_exporter_proc_visibility 0\n"}, []string{sleeper}},
		{"hidepid=1", "mount -t proc -o hidepid=1 proc $1", nobody, "", []string{failed, "namedprocess_exporter_proc_visibility 0\n"}, []string{sleeper}},
		{"hidepid=4", "mount -t proc -o hidepid=4 proc $1", nobody, "", []string{failed, "namedprocess_exporter_proc_visibility 0\n"}, []string{sleeper}},
		{"hidepid=2 as root", "mount -t proc -o hidepid=2 proc $1", "", "", []string{whole, sleeper}, nil},
		{"subset=pid", "mount -t proc -o subset=pid proc $1", nobody, "", []string{whole, sleeper}, nil},
		{"a namespace without processes", "unshare -p -f mount -t proc proc $1", "", "", []string{failed}, []string{"namedprocess_namegroup_num_procs{"}},
		{"no /proc", "mount --move /proc $1 || { mount --rbind /proc $1 && umount -l /proc; }", "", "", []string{whole, sleeper}, nil},
		{"another namespace", ":", "unshare -p -f --kill-child ", "/proc", []string{whole, sleeper}, nil},
		{"its own namespace", ":", "unshare -p -f --kill-child --mount-proc ", "/proc", []string{whole}, []string{sleeper}},
		{"64 files", "ulimit -n 64", "", "/proc", []string{whole, sleeper}, nil},
	}
	startNamed(t, "sleeper")
	for _, source := range []string{"procfs", "auto"} {
		for _, tt := range tests {
			t.Run(source+"/"+tt.name, func(t *testing.T) {
				dir, err := os.MkdirTemp("/tmp", "procfs")
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = os.Remove(dir) })
				if tt.procfs == "" {
					tt.procfs = dir
				}
				script := fmt.Sprintf("set -e; %s; exec %s %s --source=%s --procfs=%s --web.listen-address=127.0.0.1:0", tt.before, tt.prefix, everybodysCopy(t), source, tt.procfs)
				command := exec.Command("unshare", "-m", "--propagation=private", "sh", "-c", script, "sh", dir)
				r := startCommand(t, command)
				r.URL = r.firstAddress()
				eventually(t, "the right answer", func() bool {
					body := r.Scrape()
					for _, text := range tt.want {
						if !strings.Contains(body, text) {
							return false
						}
					}
					for _, text := range tt.not {
						if strings.Contains(body, text) {
							return false
						}
					}
					return true
				}, r.Scrape)
				if strings.Contains(tt.name, "hidepid") && len(tt.not) > 0 && len(grep(r.Log(), "hidepid")) != 1 {
					t.Errorf("got %q, want one line about hidepid", r.Log())
				}
			})
		}
	}
}

// firstAddress waits until the exporter listens.
func (r *running) firstAddress() string {
	r.t.Helper()
	eventually(r.t, "a listener", func() bool { r.mustRun(); return len(r.addresses()) > 0 })
	return "http://" + r.addresses()[0]
}

func grep(lines []string, text string) (found []string) {
	for _, line := range lines {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// startNamed starts a process of this name that waits for the end of the test.
func startNamed(t *testing.T, name string) *exec.Cmd {
	t.Helper()
	text, err := os.ReadFile("/bin/cat")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, text, 0o700); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(path)
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = command.Wait() }) // it ends as it should
	return command
}

// TestFewFiles has more clients than there are files. Walks go on, and no
// process seems to be gone.
func TestFewFiles(t *testing.T) {
	onlyLinux(t)
	startNamed(t, "sleeper")
	r := startCommand(t, exec.Command("sh", "-c", `ulimit -n 64; exec "$0" "$@"`, binary, "--web.listen-address=127.0.0.1:0", "--source=procfs"))
	r.URL = r.firstAddress()
	for range 200 {
		r.dial()
	}
	for range 5 {
		body := r.Scrape()
		if !strings.Contains(body, "namedprocess_exporter_scrape_success 1\n") || !strings.Contains(body, `num_procs{groupname="sleeper"} 1`) {
			t.Errorf("got %.500s", body)
		}
	}
	if lines := grep(r.Log(), "too many open files"); len(lines) > 0 {
		t.Errorf("got %q", lines)
	}
}

// TestClockInAnotherTimeNamespace holds that a process keeps its age where the
// machine seems to have booted at another time.
func TestClockInAnotherTimeNamespace(t *testing.T) {
	asRoot(t)
	startNamed(t, "sleeper")
	for _, source := range []string{"procfs", "auto"} {
		r := startCommand(t, exec.Command("unshare", "--time", "--boottime", "100000", binary, "--web.listen-address=127.0.0.1:0", "--source="+source))
		r.URL = r.firstAddress()
		metrics, _ := parseMetrics(t, r.Scrape())
		got := metrics[`namedprocess_namegroup_oldest_start_time_seconds{groupname="sleeper"}`]
		if age := float64(time.Now().Unix()) - got; age < -2 || age > 60 {
			t.Errorf("%s: got an age of %v s of a process just started", source, age)
		}
		_ = r.Stop()
	}
}
