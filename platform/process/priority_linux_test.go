package process

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// Scheduling policies of sched(7).
const (
	schedFIFO = 1
	schedRR   = 2
	schedIdle = 5
)

// TestSchedulingPolicies reads nice values and CPU times of processes with other
// scheduling policies.
func TestSchedulingPolicies(t *testing.T) {
	testenv.RequireRoot(t)
	for _, tt := range []struct {
		name             string
		policy, priority int
	}{{"SCHED_FIFO", schedFIFO, 10}, {"SCHED_RR", schedRR, 99}, {"SCHED_IDLE", schedIdle, 0}} {
		t.Run(tt.name, func(t *testing.T) {
			p := startChild(t, nil, "busy", fmt.Sprintf("scheduled=%d,%d", tt.policy, tt.priority))
			pid := strconv.Itoa(p.PID())
			output := testenv.Output(t, "chrt", "-p", pid)
			if !strings.Contains(output, tt.name) || !strings.HasSuffix(output, " "+strconv.Itoa(tt.priority)) {
				t.Fatalf("got %q of chrt, want %s %d", output, tt.name, tt.priority)
			}
			wantEqual(t, "nice", must[int](t)(p.Nice()), 0)
			testenv.Eventually(t, func() bool { return statusOf(t, p.Process) == StatusSleeping }) // SCHED_IDLE may get the CPU late
			if times := must[CPUTimes](t)(p.CPUTimes()); times.User+times.System < 180e6 {
				t.Errorf("got %+v, want 0.2 s", times)
			}
			if err := p.SetNice(5); err != nil { // takes effect with SCHED_OTHER
				t.Fatal(err)
			}
			wantEqual(t, "nice after", must[int](t)(p.Nice()), 5)
			if output := testenv.Output(t, "chrt", "-p", pid); !strings.Contains(output, tt.name) {
				t.Errorf("got %q of chrt after SetNice, want %s", output, tt.name)
			}
		})
	}
}

// TestSetNiceBelowZero requires CAP_SYS_NICE or an RLIMIT_NICE that permits it.
func TestSetNiceBelowZero(t *testing.T) {
	p := startChild(t, nil)
	err := p.SetNice(-7)
	if os.Geteuid() != 0 {
		if !errors.Is(err, ErrAccessDenied) {
			t.Errorf("got error %v, want ErrAccessDenied", err)
		}
		wantEqual(t, "nice", must[int](t)(p.Nice()), 0)
		return
	}
	testenv.RequireCapability(t, testenv.SysNice)
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "nice", must[int](t)(p.Nice()), -7)
	wantEqual(t, "ps", testenv.Output(t, "ps", "-o", "ni=", "-p", strconv.Itoa(p.PID())), "-7")
}

func TestSetIONiceRealtime(t *testing.T) {
	p := startChild(t, nil)
	want := IOPriority{IOClassRealtime, 3}
	err := p.SetIONice(want)
	if os.Geteuid() != 0 {
		if !errors.Is(err, ErrAccessDenied) {
			t.Errorf("got error %v, want ErrAccessDenied", err)
		}
		return
	}
	testenv.RequireCapability(t, testenv.SysNice, testenv.SysAdmin)
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "ionice", must[IOPriority](t)(p.IONice()), want)
	wantEqual(t, "ionice(1)", testenv.Output(t, "ionice", "-p", strconv.Itoa(p.PID())), "realtime: prio 3")
}

// TestSetEveryRlimit lowers each limit and compares Rlimit with prlimit(1).
func TestSetEveryRlimit(t *testing.T) {
	p := startChild(t, nil)
	pid := strconv.Itoa(p.PID())
	for _, r := range Resources() {
		t.Run(r.String(), func(t *testing.T) {
			had := must[Limit](t)(p.Rlimit(r))
			want := Limit{Soft: min(had.Soft, 1<<40), Hard: min(had.Hard, 1<<41)}
			if err := p.SetRlimit(r, want); err != nil {
				t.Fatal(err)
			}
			wantEqual(t, "rlimit", must[Limit](t)(p.Rlimit(r)), want)
			name := strings.TrimPrefix(r.String(), "RLIMIT_")
			output := strings.Fields(testenv.Output(t, "prlimit", "-p", pid, "--raw", "--noheadings", "-o", "RESOURCE,SOFT,HARD"))
			found := false
			for i := 0; i+2 < len(output); i += 3 {
				if output[i] == name {
					found = true
					wantEqual(t, "prlimit", output[i+1]+" "+output[i+2], fmt.Sprintf("%d %d", want.Soft, want.Hard))
				}
			}
			if !found {
				t.Errorf("got %q of prlimit, want %s among them", output, name)
			}
			raised := Limit{Soft: want.Soft, Hard: want.Hard + 1}
			if err := p.SetRlimit(r, raised); err != nil && !errors.Is(err, ErrAccessDenied) {
				t.Errorf("raised: got error %v, want none or ErrAccessDenied", err)
			}
		})
	}
}

// TestFileSizeLimit checks that the kernel enforces a limit.
func TestFileSizeLimit(t *testing.T) {
	path := t.TempDir() + "/file"
	p := startChild(t, nil, "await", "write="+path)
	if err := p.SetRlimit(ResourceFSize, Limit{Soft: 1024, Hard: 1024}); err != nil {
		t.Fatal(err)
	}
	_ = p.Stdin.Close()
	_ = p.Cmd.Wait() // fails because the write fails
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "size of the file", info.Size(), 1024)
}
