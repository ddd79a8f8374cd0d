package process

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// TestOperationOfError checks that an error has the operation of the method that was
// called, and not of a method that it uses.
func TestOperationOfError(t *testing.T) {
	p, f := fakeProcess("S")
	for _, file := range []string{"stat", "status", "statm", "smaps", "smaps_rollup", "limits", "limit"} {
		f.errs[file] = syscall.EACCES
	}
	_, parentErr := p.Parent()
	_, parentsErr := p.Parents()
	_, parentPIDsErr := p.ParentPIDs()
	_, exErr := p.MemoryInfoEx()
	_, fullErr := p.MemoryFullInfo()
	_, usernameErr := p.Username()
	_, rlimitsErr := p.Rlimits()
	f.errs["signal"] = syscall.EPERM
	failed := map[string]error{
		"parent": parentErr, "memory info ex": exErr, "memory full info": fullErr, "username": usernameErr, "rlimits": rlimitsErr,
		"terminate": p.Terminate(), "kill": p.Kill(), "suspend": p.Suspend(), "resume": p.Resume(),
		"send signal": p.SendSignal(syscall.SIGHUP),
	}
	for _, name := range []Attr{AttrParent, AttrParents, AttrUsername} {
		_, err := p.Attr(name)
		failed[string(name)] = err
	}
	_, failed["memory info"] = p.Attr(AttrMemoryInfo)
	for op, err := range failed {
		wantOperation(t, op, err)
	}
	wantOperation(t, "parents", parentsErr)
	wantOperation(t, "parents", parentPIDsErr)
}

func wantOperation(t *testing.T, op string, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Op != op || e.PID != 7 || !errors.Is(err, ErrAccessDenied) {
		t.Errorf("got error %v, want ErrAccessDenied of operation %q", err, op)
	}
}

// TestMemoryFullInfoWithoutFootprint reads a process of another user.
func TestMemoryFullInfoWithoutFootprint(t *testing.T) {
	p, f := fakeProcess("S")
	p.shared.table = must[*Table](t)(systemTable())
	f.files["statm"] = "20 10 5 1 0 3 0\n"
	f.errs["smaps_rollup"], f.errs["smaps"] = syscall.EACCES, syscall.EACCES
	got, err := p.MemoryFullInfo()
	if !errors.Is(err, ErrAccessDenied) || got.RSS != 10*uint64(os.Getpagesize()) || got.Footprint != (Footprint{}) {
		t.Errorf("got %+v, error %v, want the values of MemoryInfo and ErrAccessDenied", got, err)
	}
}

// TestCPUPercentOverIsMeasurement measures a busy process during an interval. The next
// CPUPercent returns the use since then.
func TestCPUPercentOverIsMeasurement(t *testing.T) {
	p := startChild(t, nil, "spin")
	view := p.Oneshot()
	must[int](t)(view.PPID())
	testenv.Eventually(t, func() bool {
		return must[float64](t)(view.CPUPercentOver(t.Context(), 50*time.Millisecond)) > 0
	})
	at := p.meter().at
	wantEqual(t, "measured", at.IsZero(), false)
	testenv.Eventually(t, func() bool { return must[CPUTimes](t)(p.CPUTimes()).used() > p.meter().used })
	if percent := must[float64](t)(p.CPUPercent()); percent <= 0 || !p.meter().at.After(at) {
		t.Errorf("got %v percent since the interval, want more than 0", percent)
	}
}

func TestExitStatusText(t *testing.T) {
	for status, want := range map[ExitStatus]string{
		{}:                        "exited with unknown status",
		{Known: true, Code: 3}:    "exited with code 3",
		{Known: true, Signal: 15}: "killed by signal 15 (terminated)",
	} {
		wantEqual(t, "text", status.String(), want)
	}
}
