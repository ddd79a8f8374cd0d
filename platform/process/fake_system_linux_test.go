package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/seed57308aee/process_exporter/test/procfstree"
)

func TestCmdlineFormats(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"NUL-terminated", "foo\x00bar\x00", []string{"foo", "bar"}},
		{"empty last argument", "foo\x00bar\x00\x00", []string{"foo", "bar", ""}},
		{"title", "foo bar ", []string{"foo", "bar"}},
		{"title with trailing spaces", "foo bar  ", []string{"foo", "bar", ""}},
		{"title without a space", "foo bar", []string{"foo", "bar"}},
		{"single argument is not split", "foo bar\x00", []string{"foo bar"}},
		{"NULs only", "\x00\x00", []string{"", ""}},
		{"empty", "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, f := fakeProcess("S")
			f.files["cmdline"] = tt.text
			if got := must[[]string](t)(p.Cmdline()); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			wantEqual(t, "raw", string(must[[]byte](t)(p.CmdlineRaw())), tt.text)
		})
	}
}

// TestTruncatedNameWithoutCmdline uses names of 15 bytes without a command line that
// completes them.
func TestTruncatedNameWithoutCmdline(t *testing.T) {
	const long = "exactly15bytes!"
	for _, tt := range []struct {
		name  string
		state string
		errno error
		gone  bool
		want  error
	}{
		{"denied", "S", syscall.EACCES, false, nil},
		{"zombie", "Z", nil, false, nil},
		{"gone", "S", syscall.ESRCH, true, ErrGone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, f := fakeProcess(tt.state)
			f.files["stat"] = strings.Replace(f.files["stat"], "fake", long, 1)
			f.files["cmdline"], f.errs["cmdline"], f.isGone = "", tt.errno, tt.gone
			name, err := p.Name()
			if !errors.Is(err, tt.want) || tt.want == nil && name != long {
				t.Errorf("got %q, error %v, want %v", name, err, tt.want)
			}
		})
	}
}

// TestMissingFiles reads a live process without optional files.
func TestMissingFiles(t *testing.T) {
	p, f := fakeProcess("S")
	for name, method := range map[string]func() (string, error){"exe": p.Exe, "cwd": p.Cwd} {
		if got, err := method(); got != "" || err != nil {
			t.Errorf("%s: got %q, error %v, want none", name, got, err)
		}
	}
	for name, method := range map[string]func() error{
		"memory maps": func() error { _, err := p.MemoryMaps(); return err },
		"footprint":   func() error { _, err := p.Footprint(); return err },
		"memory info": func() error { _, err := p.MemoryInfo(); return err },
		"io":          func() error { _, err := p.IOCounters(); return err },
	} {
		if err := method(); !errors.Is(err, ErrUnsupported) || errors.Is(err, ErrGone) {
			t.Errorf("%s: got error %v, want ErrUnsupported", name, err)
		}
	}
	f.isGone = true
	if _, err := p.MemoryInfo(); !errors.Is(err, ErrGone) {
		t.Errorf("got error %v, want ErrGone", err)
	}
}

// TestConnectionsSkipsClosed uses a descriptor without a link, and no IPv6 files.
func TestConnectionsSkipsClosed(t *testing.T) {
	p, f := fakeProcess("S")
	f.fds = []int{3, 4}
	f.errs["fd/3"] = syscall.ENAMETOOLONG
	f.files["fd/4"] = "socket:[77]"
	const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	f.files["net/tcp"] = head + "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000" +
		"     0        0 77 1 x 100 0 0 10 0\n"
	got, err := p.Connections(ConnectionTCP)
	if err != nil || len(got) != 1 || got[0].FD != 4 || got[0].Status != ConnListen {
		t.Errorf("got %+v, error %v, want one that listens", got, err)
	}
}

// TestParentPIDReused uses a view that has cached the PID of a parent that has exited
// and whose PID is in use by a process with the same start time.
func TestParentPIDReused(t *testing.T) {
	tree := procfstree.New(t, 1000)
	tree.Set(procfstree.Process{PID: 11, PPID: 1, Start: 100, Comm: "p"}, procfstree.Process{PID: 12, PPID: 11, Start: 100, Comm: "p"})
	p := openIn(t, openTestTable(t, tree.Root), 12)
	view := p.Oneshot()
	wantEqual(t, "parent", must[int](t)(view.parentPID()), 11)
	stat := filepath.Join(tree.Root, "12/stat")
	text := strings.Replace(string(must[[]byte](t)(os.ReadFile(stat))), " S 11 ", " S 1 ", 1)
	if err := os.WriteFile(stat, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "parent after reuse", must[int](t)(view.parentPID()), 0)
}

// TestYoungerParent uses a process whose parent PID belongs to a process that started
// later.
func TestYoungerParent(t *testing.T) {
	tree := procfstree.New(t, 1000)
	for _, p := range []procfstree.Process{
		{PID: 10, PPID: 11, Start: 100}, {PID: 11, PPID: 1, Start: 200}, {PID: 12, PPID: 11, Start: 200}, {PID: 13, PPID: 12, Start: 300},
		{PID: 20, PPID: 21, Start: 5}, {PID: 21, PPID: 20, Start: 5}, // a cycle, as inconsistent reads can produce
	} {
		p.Comm = "p"
		tree.Set(p)
	}
	table := openTestTable(t, tree.Root)
	wantEqual(t, "parent", must[int](t)(openIn(t, table, 10).parentPID()), 0)
	wantEqual(t, "missing parent", must[int](t)(openIn(t, table, 11).parentPID()), 0)
	wantEqual(t, "parent with the same start time", must[int](t)(openIn(t, table, 12).parentPID()), 11)
	for pid, want := range map[int][]int{11: {12}, 12: {13}, 20: {21}} {
		if got := must[[]int](t)(pidsOf(openIn(t, table, pid).Children())); !slices.Equal(got, want) {
			t.Errorf("got children %v of %d, want %v", got, pid, want)
		}
	}
	if got := must[[]int](t)(pidsOf(openIn(t, table, 11).Descendants())); !slices.Equal(got, []int{12, 13}) {
		t.Errorf("got descendants %v, want each once", got)
	}
	if got := must[[]int](t)(pidsOf(openIn(t, table, 20).Descendants())); !slices.Equal(got, []int{21}) {
		t.Errorf("got descendants %v in a cycle, want 21 once", got)
	}
	if got := must[[]int](t)(pidsOf(openIn(t, table, 20).Parents())); len(got) != 1 || got[0] != 21 {
		t.Errorf("got parents %v in a cycle, want 21 once", got)
	}
}

// TestExistsWithEmptyStatus uses a listed process with an empty status file.
func TestExistsWithEmptyStatus(t *testing.T) {
	tree := threeProcesses(t)
	if err := os.WriteFile(filepath.Join(tree.Root, "10", "status"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "exists", must[bool](t)(openTestTable(t, tree.Root).Exists(10)), true)
}

func TestInvalidArguments(t *testing.T) {
	p, _ := fakeProcess("S")
	_, err1 := p.CPUPercentOver(t.Context(), -1)
	_, err2 := p.CPUPercentOver(t.Context(), 0)
	_, err3 := p.MemoryPercent(MemoryKind(memoryKinds))
	_, err4 := p.Rlimit(-1)
	_, err5 := p.Connections(ConnectionAll + 1)
	_, err6 := Open(-1)
	for k, err := range []error{err1, err2, err3, err4, err5, err6} {
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("%d: got error %v, want ErrInvalid", k+1, err)
		}
	}
	wantEqual(t, "missing terminal", must[*Table](t)(systemTable()).system.terminal(0xfff00), "")
}

// TestErrorText checks the text of an Error.
func TestErrorText(t *testing.T) {
	for _, tt := range []struct {
		err  Error
		want string
	}{
		{Error{PID: 7, Name: "a\nb", Op: "exe", Kind: ErrAccessDenied, Err: syscall.EACCES},
			`process: exe of process 7 ("a\nb"): ` + fmt.Sprint(ErrAccessDenied) + ": permission denied"},
		{Error{PID: 7, Op: "exe", Kind: ErrZombie}, "process: exe of process 7: process is a zombie"},
		{Error{PID: 7, Op: "exe", Err: syscall.EIO}, "process: exe of process 7: input/output error"},
		{Error{PID: 7, Op: "open", Kind: ErrGone}, "process: open process 7: process is gone"},
		{Error{PID: 7, Op: "kill", Kind: ErrGone}, "process: kill process 7: process is gone"},
		{Error{PID: 7, Op: "send signal", Kind: ErrGone}, "process: send signal to process 7: process is gone"},
		{Error{PID: 7, Op: "wait", Kind: ErrTimeout}, "process: wait for process 7: timed out"},
	} {
		wantEqual(t, "error", tt.err.Error(), tt.want)
	}
}
