package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// stateOf returns the state letter in /proc/PID/status.
func stateOf(t *testing.T, pid int) string {
	t.Helper()
	text := string(must[[]byte](t)(os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))))
	_, after, _ := strings.Cut(text, "\nState:\t")
	return after[:1]
}

// TestSuspendState compares the state after Suspend and Resume with /proc/PID/status
// and ps.
func TestSuspendState(t *testing.T) {
	p := startChild(t, nil)
	for _, step := range []struct {
		do     func() error
		letter string
	}{{p.Suspend, "T"}, {p.Resume, "S"}, {p.Suspend, "T"}} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		testenv.Eventually(t, func() bool { return stateOf(t, p.PID()) == step.letter })
		output := testenv.Output(t, "ps", "-o", "stat=", "-p", strconv.Itoa(p.PID()))
		wantEqual(t, "ps", output[:1], step.letter)
	}
}

// TestSignalExitStatus sends signals and reads the wait status of the child.
func TestSignalExitStatus(t *testing.T) {
	for name, tt := range map[string]struct {
		send func(*Process) error
		want syscall.Signal
	}{
		"terminate": {(*Process).Terminate, syscall.SIGTERM},
		"kill":      {(*Process).Kill, syscall.SIGKILL},
		"send USR1": {func(p *Process) error { return p.SendSignal(syscall.SIGUSR1) }, syscall.SIGUSR1},
		"send RT":   {func(p *Process) error { return p.SendSignal(syscall.Signal(40)) }, 40},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command("sleep", "1000") // handles no signal
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Process.Kill()
			p := openProcess(t, cmd.Process.Pid)
			testenv.Eventually(t, func() bool { return must[string](t)(p.Name()) == "sleep" })
			if err := tt.send(p); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			status := cmd.ProcessState.Sys().(syscall.WaitStatus)
			if !status.Signaled() || status.Signal() != tt.want {
				t.Errorf("got wait status %x, want signal %v", int(status), tt.want)
			}
		})
	}
}

// denySyscalls installs a seccomp filter that makes system calls of this process fail,
// like an old kernel or the filter of a container.
func denySyscalls(t *testing.T, calls map[uint32]syscall.Errno) {
	t.Helper()
	const allow, deny = 0x7fff0000, 0x00050000 // SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO
	program := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}}
	for call, errno := range calls {
		program = append(program, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: call},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: deny | uint32(errno)})
	}
	program = append(program, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: allow})
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if _, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); errno == syscall.ENOTSUP {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil { // with cgo only this thread can be changed
			t.Fatal(err)
		}
	}
	const setModeFilter, allThreads = 1, 1
	if _, _, errno := syscall.Syscall(unix.SYS_SECCOMP, setModeFilter, allThreads, uintptr(unsafe.Pointer(&filter))); errno != 0 {
		t.Skipf("requires seccomp filters: %v", errno)
	}
}

// TestWithoutPidfd waits and sends signals while pidfd system calls fail.
func TestWithoutPidfd(t *testing.T) {
	if !runNested(t, 0) {
		return
	}
	running, waited := startChild(t, nil), startChild(t, nil)
	denySyscalls(t, map[uint32]syscall.Errno{unix.SYS_PIDFD_OPEN: syscall.EPERM, unix.SYS_PIDFD_SEND_SIGNAL: syscall.ENOSYS})
	if _, err := unix.PidfdOpen(os.Getpid(), 0); !errors.Is(err, syscall.EPERM) {
		t.Fatalf("pidfd_open: got error %v, want EPERM", err)
	}
	if err := running.Suspend(); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, func() bool { return stateOf(t, running.PID()) == "T" })
	if err := waited.Kill(); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "status", must[ExitStatus](t)(waited.Wait(context.Background())), ExitStatus{Known: true, Code: -1, Signal: syscall.SIGKILL})
	wantAllGone(t, waited.Process)
	if err := running.Kill(); err != nil {
		t.Fatal(err)
	}
}
