package host

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

func TestThreadWait(t *testing.T) {
	tests := []struct {
		parse func(string) threadWait
		text  string
		want  threadWait
	}{
		{parseSyscallFile, "running\n", runs},
		{parseSyscallFile, fmt.Sprintf("%d 0x1 0x2 0x7ffd 0x0\n", unix.SYS_FUTEX), waitsInFutex},
		{parseSyscallFile, fmt.Sprintf("%d 0x1 0x2 0x7ffd 0x0\n", unix.SYS_READ), waitsElsewhere},
		{parseSyscallFile, "-1 0x0 0x0\n", waitsElsewhere}, // a page fault
		{parseWChan, "0", runs},
		{parseWChan, "futex_wait_queue_me", waitsInFutex}, // Linux 5.15
		{parseWChan, "__futex_wait", waitsInFutex},
		{parseWChan, "futex_do_wait", waitsInFutex}, // Linux 6.18
		{parseWChan, "pipe_read", waitsElsewhere},
		{parseWChan, "request_wait_answer", waitsElsewhere}, // FUSE
		{parseWChan, "", unknownWait},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			if got := tt.parse(tt.text); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestIsBlocked(t *testing.T) {
	tests := []struct {
		wait  threadWait
		state byte
		want  bool
	}{
		{waitsElsewhere, 'D', true},
		{waitsElsewhere, 'S', true},  // a FIFO
		{waitsElsewhere, 'R', false}, // the wait ended between the two reads
		{unknownWait, 'D', true},     // without CONFIG_KALLSYMS
		{unknownWait, 'S', false},    // may be a futex
		{unknownWait, 'R', false},
		{runs, 'R', false},
		{waitsInFutex, 'S', false},
	}
	for _, tt := range tests {
		if got := isBlocked(tt.wait, tt.state); got != tt.want {
			t.Errorf("wait %d, state %c: got %v, want %v", tt.wait, tt.state, got, tt.want)
		}
	}
}

// TestWChanOfBlockedThread compares the two files about a thread that opens a FIFO.
func TestWChanOfBlockedThread(t *testing.T) {
	if _, err := os.Stat("/proc/self/wchan"); err != nil {
		t.Skipf("the kernel has no CONFIG_KALLSYMS: %v", err)
	}
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	thread, opened := make(chan int, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		thread <- unix.Gettid()
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Close(fd)
		}
		opened <- err
	}()
	tid := <-thread
	testenv.Eventually(t, func() bool {
		text, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/wchan", tid))
		return err == nil && parseWChan(string(text)) == waitsElsewhere && waitOf(int64(tid)) == waitsElsewhere
	})
	writer, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-opened; err != nil {
		t.Error(err)
	}
	if err := unix.Close(writer); err != nil {
		t.Error(err)
	}
}

// TestBlockDetector checks a thread that is blocked in a read of a pipe.
func TestBlockDetector(t *testing.T) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	tids, done := make(chan int64), make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		tids <- int64(unix.Gettid())
		_, _ = unix.Read(pipe[0], make([]byte, 1))
	}()
	tid := <-tids
	testenv.Eventually(t, func() bool { return threadBlocked(tid) })
	d := NewBlockDetector(time.Second)
	now := d.lastTick
	tick := func(period time.Duration, want bool) {
		t.Helper()
		now = now.Add(period)
		if got := d.Tick(now, tid); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	tick(time.Second/2, false)
	tick(time.Second/2, true)
	tick(2*time.Second, false) // late
	tick(time.Second/2, false)
	d.Reset(now)
	tick(time.Second/2, false)
	tick(time.Second/2, true)
	_ = unix.Close(pipe[1]) // ends the read
	<-done
	_ = unix.Close(pipe[0])
}
