//go:build linux

package process_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/seed57308aee/process_exporter/platform/process"
)

// self opens the process that runs the examples.
func self() *process.Process {
	p, err := process.Open(os.Getpid())
	if err != nil {
		panic(err)
	}
	return p
}

// sleeper starts a process for an example.
func sleeper() *process.Process {
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	p, err := process.Open(cmd.Process.Pid)
	if err != nil {
		panic(err)
	}
	return p
}

func ExampleOpen() {
	p, err := process.Open(os.Getpid())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	ppid, err := p.PPID()
	fmt.Println(p.Running(), ppid == os.Getppid(), err)
	// Output: true true <nil>
}

func ExampleProcess_Status() {
	p := sleeper()
	defer p.Close()
	p.Suspend()
	for {
		if status, err := p.Status(); err != nil || status == process.StatusStopped {
			fmt.Println(status, err)
			break
		}
		time.Sleep(time.Millisecond)
	}
	p.Kill()
	p.Wait(context.Background())
	_, err := p.Status()
	fmt.Println(errors.Is(err, process.ErrGone))
	// Output:
	// stopped <nil>
	// true
}

func ExampleProcess_Oneshot() {
	p := self()
	defer p.Close()
	view := p.Oneshot() // one read of stat for all of these
	_, err1 := view.CPUTimes()
	_, err2 := view.CreateTime()
	threads, err3 := view.NumThreads()
	fmt.Println(threads > 1, errors.Join(err1, err2, err3))
	// Output: true <nil>
}

func ExampleProcess_AsMap() {
	p := self()
	defer p.Close()
	values, err := p.AsMap("denied", "pid", "terminal", "uids")
	fmt.Println(len(values), values["pid"] == os.Getpid(), err)
	// Output: 3 true <nil>
}

func ExampleProcess_MemoryInfo() {
	p := self()
	defer p.Close()
	m, err := p.MemoryInfo()
	fmt.Println(m.RSS > 0, m.VMS > m.RSS, err)
	// Output: true true <nil>
}

func ExampleProcess_OpenFiles() {
	f, err := os.CreateTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	p := self()
	defer p.Close()
	files, err := p.OpenFiles()
	for _, file := range files {
		if file.Path == f.Name() {
			fmt.Println(file.Mode, file.Position, err)
		}
	}
	// Output: r+ 0 <nil>
}

func ExampleProcess_Connections() {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	p := self()
	defer p.Close()
	found, err := p.Connections(process.ConnectionTCP)
	for _, c := range found {
		if c.Local.String() == l.Addr().String() {
			fmt.Println(c.Status, err)
		}
	}
	// Output: LISTEN <nil>
}

func ExampleProcess_Children() {
	child := sleeper()
	defer child.Close()
	p := self()
	defer p.Close()
	children, err := p.Children()
	defer process.CloseAll(children)
	for _, c := range children {
		if c.Equal(child) {
			fmt.Println("found", err)
		}
	}
	child.Kill()
	child.Wait(context.Background())
	// Output: found <nil>
}

func ExampleProcess_SetNice() {
	p := sleeper()
	defer p.Close()
	err := p.SetNice(5)
	n, _ := p.Nice()
	fmt.Println(n, err)
	p.Kill()
	p.Wait(context.Background())
	// Output: 5 <nil>
}

func ExampleProcess_SendSignal() {
	p := sleeper()
	defer p.Close()
	fmt.Println(p.SendSignal(syscall.SIGTERM))
	status, err := p.Wait(context.Background())
	fmt.Println(status, err)
	// Output:
	// <nil>
	// killed by signal 15 (terminated) <nil>
}

func ExampleWaitAll() {
	quick, slow := sleeper(), sleeper()
	defer process.CloseAll([]*process.Process{quick, slow})
	quick.Kill()
	ctx, cancel := context.WithCancel(context.Background())
	gone, alive, err := process.WaitAll(ctx, []*process.Process{quick, slow}, func(*process.Process, process.ExitStatus) {
		cancel() // end WaitAll after the first exit
	})
	fmt.Println(len(gone), len(alive), err)
	slow.Kill()
	slow.Wait(context.Background())
	// Output: 1 1 <nil>
}

func ExampleAll() {
	count := 0
	for p, err := range process.All() {
		if err != nil {
			fmt.Println(err)
			return
		}
		if p.Running() {
			count++
		}
	}
	fmt.Println(count > 1)
	// Output: true
}
