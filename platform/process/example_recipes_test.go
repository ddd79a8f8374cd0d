//go:build linux

package process_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"github.com/seed57308aee/process_exporter/platform/process"
)

// The five processes that use the most CPU time.
func Example_topCPU() {
	type usage struct {
		p       *process.Process
		percent float64
	}
	var all []usage
	for round := range 2 { // the second round returns the use since the first
		all = nil
		for p, err := range process.All() {
			if err != nil {
				fmt.Println(err)
				return
			}
			if percent, err := p.CPUPercent(); err == nil { // otherwise it has exited
				all = append(all, usage{p, percent})
			}
		}
		if round == 0 {
			time.Sleep(200 * time.Millisecond)
		}
	}
	slices.SortFunc(all, func(a, b usage) int { return cmp.Compare(b.percent, a.percent) })
	top := all[:min(5, len(all))]
	for _, u := range top {
		if name, err := u.p.Name(); err == nil {
			fmt.Fprintf(os.Stderr, "%5.1f %% %6d %s\n", u.percent, u.p.PID(), name)
		}
	}
	fmt.Println(len(top) > 0)
	// Output: true
}

// Ends a process and all its descendants: first with SIGTERM, after a timeout with
// SIGKILL.
func Example_killTree() {
	cmd := exec.Command("sh", "-c", "sleep 1000 & sleep 1000 & wait")
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	p, err := process.Open(cmd.Process.Pid)
	if err != nil {
		fmt.Println(err)
		return
	}
	for children := 0; children < 2; { // until the shell has started both
		pids, err := p.ChildPIDs()
		if err != nil {
			fmt.Println(err)
			return
		}
		children = len(pids)
	}

	tree, err := p.Descendants() // before p ends, because its children get another parent then
	if err != nil {
		fmt.Println(err) // tree still has the processes that could be opened
	}
	tree = append(tree, p)
	defer process.CloseAll(tree)
	for _, q := range tree {
		if err := q.Terminate(); err != nil && !errors.Is(err, process.ErrGone) {
			fmt.Println(err)
		}
	}
	soon, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	gone, alive, err := process.WaitAll(soon, tree, nil)
	if err != nil {
		fmt.Println(err)
	}
	for _, q := range alive {
		if err := q.Kill(); err != nil && !errors.Is(err, process.ErrGone) {
			fmt.Println(err)
		}
	}
	later, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	killed, alive, err := process.WaitAll(later, alive, nil)
	for _, q := range alive { // such as zombies that their parent does not reap
		fmt.Fprintln(os.Stderr, q)
	}
	fmt.Println(len(gone)+len(killed)+len(alive), err)
	// Output: 3 <nil>
}

// Waits for several processes, at most ten seconds.
func Example_waitForSeveral() {
	var all []*process.Process
	for _, script := range []string{"exit 0", "exit 3", "kill -9 $$"} {
		cmd := exec.Command("sh", "-c", script)
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		p, err := process.Open(cmd.Process.Pid)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer p.Close()
		all = append(all, p)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	gone, alive, err := process.WaitAll(ctx, all, func(p *process.Process, status process.ExitStatus) {
		fmt.Println(status)
	})
	fmt.Println(len(gone), len(alive), err)
	// Unordered output:
	// exited with code 0
	// exited with code 3
	// killed by signal 9 (killed)
	// 3 0 <nil>
}

// Watches the memory of a process until it exits.
func Example_watchMemory() {
	cmd := exec.Command("cat")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		panic(err)
	}
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	p, err := process.Open(cmd.Process.Pid)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	go func() { _ = cmd.Wait() }() // until it is reaped, a child exists as a zombie with 0 bytes
	var most uint64
	for {
		m, err := p.MemoryInfo()
		if errors.Is(err, process.ErrGone) {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		most = max(most, m.RSS)
		_ = stdin.Close() // cat exits
		time.Sleep(50 * time.Millisecond)
	}
	fmt.Println(most > 0)
	// Output: true
}

// The processes that listen on a TCP port.
func Example_whoListens() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).AddrPort().Port()

	for p, err := range process.All() {
		if err != nil {
			fmt.Println(err)
			return
		}
		// The error is ErrGone, or ErrAccessDenied for processes of other users.
		connections, _ := p.Connections(process.ConnectionTCP)
		for _, c := range connections {
			if c.Status == process.ConnListen && c.Local.Port() == port {
				fmt.Println(p.PID() == os.Getpid())
			}
		}
	}
	// Output: true
}

// The processes that have a file open.
func Example_whoHasFileOpen() {
	f, err := os.CreateTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	var file syscall.Stat_t
	if err := syscall.Stat(f.Name(), &file); err != nil {
		panic(err)
	}

	for p, err := range process.All() {
		if err != nil {
			fmt.Println(err)
			return
		}
		// The error is ErrGone, or ErrAccessDenied for processes of other users.
		files, _ := p.OpenFiles()
		for _, open := range files {
			if open.Device == uint64(file.Dev) && open.Inode == file.Ino {
				fmt.Println(p.PID() == os.Getpid(), open.Mode)
			}
		}
	}
	// Output: true r+
}
