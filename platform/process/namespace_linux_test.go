package process

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// TestProcessInNamespaces starts a child that is PID 1 and user 0 in its namespaces.
// This process sees its outer PID and user.
func TestProcessInNamespaces(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.RequireNamespaces(t)
	const uid, gid = 12345, 23456
	p := startChild(t, func(c *exec.Cmd) {
		c.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWPID | syscall.CLONE_NEWUSER | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: gid, Size: 1}},
			Credential:  &syscall.Credential{},
		}
	})
	for _, kind := range []string{"pid", "user"} {
		own := must[string](t)(os.Readlink("/proc/self/ns/" + kind))
		if theirs := must[string](t)(os.Readlink("/proc/" + strconv.Itoa(p.PID()) + "/ns/" + kind)); theirs == own {
			t.Fatalf("got the %s namespace of this process, want another", kind)
		}
	}
	wantEqual(t, "PID", p.PID(), p.Cmd.Process.Pid)
	wantEqual(t, "PPID", must[int](t)(p.PPID()), os.Getpid())
	wantEqual(t, "users", must[CredentialIDs](t)(p.UIDs()), CredentialIDs{uid, uid, uid})
	wantEqual(t, "groups", must[CredentialIDs](t)(p.GIDs()), CredentialIDs{gid, gid, gid})
	wantEqual(t, "username", must[string](t)(p.Username()), strconv.Itoa(uid))
	wantEqual(t, "exists", must[bool](t)(Exists(p.PID())), true)
	threads := must[[]Thread](t)(p.Threads())
	wantEqual(t, "main thread", threads[0].TID, p.PID())
	wantAllReadable(t, p.Process)

	if err := p.SetNice(3); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "nice", testenv.Output(t, "ps", "-o", "ni=", "-p", strconv.Itoa(p.PID())), "3")
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "status", must[ExitStatus](t)(p.Wait(context.Background())), ExitStatus{Known: true, Code: -1, Signal: syscall.SIGKILL})
}

// TestTimeNamespace starts a child with a boot clock that is a year ahead. Its create
// time does not change.
func TestTimeNamespace(t *testing.T) {
	testenv.RequireRoot(t)
	requireKernel(t, 6, 0) // before, execve(2) does not change the time namespace
	own, err := os.Readlink("/proc/self/ns/time")
	if err != nil {
		t.Skipf("requires CONFIG_TIME_NS: %v", err)
	}
	p := startChild(t, nil, "newtime=31536000")
	if theirs := must[string](t)(os.Readlink("/proc/" + strconv.Itoa(p.PID()) + "/ns/time")); theirs == own {
		t.Error("got the own time namespace, want another one")
	}
	age := time.Since(must[time.Time](t)(p.CreateTime()))
	if age.Abs() > 24*time.Hour {
		t.Errorf("got a process %v old, want a new one", age)
	}
	wantAllReadable(t, p.Process)
}
