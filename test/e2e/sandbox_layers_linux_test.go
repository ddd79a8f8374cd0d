//go:build amd64 || arm64

package e2e

import (
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/platform/sandbox"
)

// denySyscall makes a system call fail with ENOSYS for this thread and the programs that it starts.
// The thread exits with the goroutine.
func denySyscall(t *testing.T, call uint32) {
	t.Helper()
	runtime.LockOSThread()
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // load the system call number
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: call},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	filter := &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil { // without it, only root can install a filter
		t.Fatal(err)
	}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(filter)), 0, 0); err != nil {
		t.Fatal(err)
	}
	runtime.KeepAlive(filter)
}

// onOwnThread runs a test on a thread that exits with the test. The main thread of the process cannot
// exit, so the test must not run there.
func onOwnThread(t *testing.T, name string, test func(t *testing.T)) {
	t.Run(name, func(t *testing.T) {
		if runtime.LockOSThread(); unix.Gettid() != unix.Getpid() {
			test(t)
			return
		}
		defer runtime.UnlockOSThread()
		t.Run("elsewhere", test) // this goroutine keeps the main thread locked
	})
}

// TestMissingSandboxLayers starts the exporter on a kernel without one layer of the sandbox. It uses
// the other layers and logs the missing one.
func TestMissingSandboxLayers(t *testing.T) {
	for layer, call := range map[string]uint32{
		"landlock": unix.SYS_LANDLOCK_CREATE_RULESET,
		"seccomp":  unix.SYS_SECCOMP,
	} {
		onOwnThread(t, layer, func(t *testing.T) {
			denySyscall(t, call)
			r := startReady(t, exec.Command(binary, withListener([]string{"--source=procfs", "--sandbox=strict"})...))
			want := []string{"namedprocess_exporter_scrape_success 1\n"}
			for _, l := range sandbox.Layers() {
				active := "1"
				if l == layer {
					active = "0"
				}
				want = append(want, `namedprocess_exporter_sandbox{layer="`+l+`"} `+active+"\n")
			}
			r.waitForScrape(want, nil)
			entered := linesWith(r.Log(), "entered sandbox")
			if len(entered) != 1 || !strings.Contains(entered[0], "sandbox: "+layer+": ") || !strings.Contains(entered[0], "not implemented") {
				t.Errorf("got %q, want one line that names the missing %s", entered, layer)
			}
			if status := r.Stop(); status != 0 {
				t.Errorf("got exit status %d, want 0", status)
			}
		})
	}
}
