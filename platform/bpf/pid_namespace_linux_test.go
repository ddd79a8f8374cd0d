//go:build amd64 || arm64

package bpf

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf/btf"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// namespaceVariable is set in the child of TestPIDNamespace. It contains the level of the namespace of
// its parent.
const namespaceVariable = "BPF_TEST_PARENT_LEVEL"

// TestPIDNamespace runs the programs in a new PID namespace and in one inside it. Both sets of
// programs report only processes there, with their PIDs of the namespace.
func TestPIDNamespace(t *testing.T) {
	loadOrSkip(t, Options{})
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		t.Fatal(err)
	}
	ns, err := ownNamespace(kernel)
	if err != nil {
		t.Fatal(err)
	}
	var parent uint32
	if text := os.Getenv(namespaceVariable); text != "" {
		checkInNamespace(t)
		if _, err := fmt.Sscan(text, &parent); err != nil || ns.level != parent+1 {
			t.Errorf("got level %d, want one more than %q", ns.level, text)
		}
		if ns.level >= 2 {
			return
		}
	}
	command := exec.Command("/proc/self/exe", "-test.v", "-test.run", "^TestPIDNamespace$")
	command.Env = append(os.Environ(), fmt.Sprintf("%s=%d", namespaceVariable, ns.level))
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	out, err := command.CombinedOutput()
	if errors.Is(err, syscall.EPERM) {
		t.Skipf("requires a new PID namespace: %v", err)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: TestPIDNamespace") {
		t.Errorf("in a namespace: %v\n%s", err, out)
	}
}

// checkInNamespace checks the reports in a PID namespace whose only process is this one.
func checkInNamespace(t *testing.T) {
	t.Helper()
	p := loadOrSkip(t, Options{})
	if os.Getpid() != 1 || !p.InNestedPIDNamespace() {
		t.Fatalf("got PID %d, nested %v, want the first process of a namespace", os.Getpid(), p.InNestedPIDNamespace())
	}
	var s Scanner
	if err := p.ScanTasks(&s); err != nil {
		t.Fatal(err)
	}
	for s.Scan() {
		if q := s.Process(); q != nil && (q.Pid != 1 || q.Ppid != 0) {
			t.Errorf("got process %d with parent %d, want only process 1", q.Pid, q.Ppid)
		}
		if th := s.Thread(); th != nil && th.Pid != 1 {
			t.Errorf("got a thread of process %d, want only those of process 1", th.Pid)
		}
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	if got := runToExit(t, p, "true"); len(got.args) != 1 {
		t.Errorf("got arguments %q, want one", got.args)
	}
	checkSocketsInNamespace(t)
}

// checkSocketsInNamespace is checkInNamespace for sockets.
func checkSocketsInNamespace(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	sockets, err := LoadSockets(SocketOptions{Closed: func(*ClosedSocket) {}})
	if err != nil {
		testenv.SkipWithoutBPF(t, err)
	}
	defer sockets.Close()
	found := 0
	for _, r := range scanSockets(t, sockets) {
		if r.Pid != 1 {
			t.Errorf("got a socket of process %d, want only those of process 1", r.Pid)
		}
		if int(r.Port) == l.Addr().(*net.TCPAddr).Port && r.Type != SocketSubflow {
			found++
		}
	}
	if found != 1 {
		t.Errorf("found the listening socket %d times, want once", found)
	}
}
