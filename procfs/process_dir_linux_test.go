package procfs

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"slices"
	"sync/atomic"
	"testing"
)

// TestProcessGone reads files of a child before and after its exit.
func TestProcessGone(t *testing.T) {
	m, err := Open("/proc")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	child := exec.Command("sleep", "1000")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	p, err := m.OpenProcess(child.Process.Pid, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	buf := make([]byte, 8) // smaller than any file
	if text, err := p.Read(buf, "stat"); err != nil || !bytes.HasSuffix(text, []byte("\n")) {
		t.Errorf("got %q and error %v, want a line", text, err)
	}
	if text, err := p.ReadAll(buf, "status"); err != nil || !bytes.Contains(text, []byte("voluntary_ctxt_switches")) {
		t.Errorf("got %q and error %v, want the whole file", text, err)
	}
	if link, err := p.ReadLink(buf, "exe"); err != nil || link[0] != '/' || p.Gone() {
		t.Errorf("got exe %q, error %v and gone %v, want an absolute path of a live process", link, err, p.Gone())
	}
	if err := errors.Join(child.Process.Kill(), ignoreExit(child.Wait())); err != nil {
		t.Fatal(err)
	}
	_, err1 := p.Read(buf, "stat")
	_, err2 := p.ReadAll(buf, "status")
	_, err3 := p.ReadLink(buf, "exe")
	for i, err := range []error{err1, err2, err3} {
		if !errors.Is(err, ErrGone) {
			t.Errorf("%d: got error %v, want one that matches ErrGone", i, err)
		}
	}
	if !p.Gone() {
		t.Error("got gone false after the exit, want true")
	}
}

func ignoreExit(err error) error {
	if ee := new(exec.ExitError); errors.As(err, &ee) {
		return nil
	}
	return err
}

func TestProcessCountFDs(t *testing.T) {
	m, err := Open("/proc")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	p, err := m.OpenProcess(os.Getpid(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	buf := make([]byte, 4096)
	fds, err := p.AppendNumbers(nil, buf, "fd")
	if err != nil || !slices.Contains(fds, 0) || !slices.IsSorted(fds) {
		t.Fatalf("got %v and error %v, want sorted descriptors with 0", fds, err)
	}
	sized, err := p.CountFDs(buf)
	if err != nil {
		t.Fatal(err)
	}
	m.fdSizeIsCount = false // as before Linux 6.2; the listing opens one more descriptor
	listed, err := p.CountFDs(buf)
	if err != nil || listed != len(fds) || sized > listed || sized < listed-1 {
		t.Errorf("got %d by size, %d by listing, error %v, want %d", sized, listed, err, len(fds))
	}
}

// TestProcessCachesFiles requires that cached files detect the exit of the process,
// and that the descriptor budget is respected.
func TestProcessCachesFiles(t *testing.T) {
	m, err := Open("/proc")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	child := exec.Command("sleep", "1000")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var budget atomic.Int32
	budget.Store(2)
	p, err := m.OpenProcess(child.Process.Pid, &budget)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	for range 3 {
		for _, file := range []string{"stat", "statm", "status"} { // the budget does not allow the third
			if text, err := p.Read(buf, file); err != nil || len(text) == 0 {
				t.Errorf("%s: got %q and error %v, want text", file, text, err)
			}
		}
		if text, err := p.Read(make([]byte, 16), "stat"); err != nil || !bytes.HasSuffix(text, []byte("\n")) {
			t.Errorf("small buffer: got %q and error %v, want a line", text, err)
		}
	}
	if left := budget.Load(); left != 0 {
		t.Errorf("got a remaining budget of %d, want 0", left)
	}
	if err := errors.Join(child.Process.Kill(), ignoreExit(child.Wait())); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"stat", "statm", "status"} {
		if _, err := p.Read(buf, file); !errors.Is(err, ErrGone) {
			t.Errorf("%s: got error %v, want one that matches ErrGone", file, err)
		}
	}
	p.Close()
	if left := budget.Load(); left != 2 {
		t.Errorf("got a remaining budget of %d after Close, want 2", left)
	}
}
