package procfs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// writeProcesses writes the files of two processes below root. Their text begins
// with name.
func writeProcesses(t *testing.T, root, name string) {
	t.Helper()
	for _, file := range []string{"7/stat", "7/task/8/stat", "9/stat"} {
		path := filepath.Join(root, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name+" "+file+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOpenProcess reads an open process, whose PID is then reused, and others. The
// processes are directories that the test renames.
func TestOpenProcess(t *testing.T) {
	root := t.TempDir()
	writeProcesses(t, root, "old")
	if err := os.WriteFile(filepath.Join(root, "stat"), []byte("btime 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mount, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer mount.Close()
	r := NewReader(mount)
	wantText := func(want string, text []byte, err error) {
		t.Helper()
		if string(text) != want || err != nil {
			t.Errorf("got %q and error %v, want %q", text, err, want)
		}
	}
	read := func(want string, pid int) {
		t.Helper()
		text, err := r.Read(pid, "stat")
		wantText(want, text, err)
	}
	readTask := func(want string) {
		t.Helper()
		text, err := r.ReadTask(7, 8, "stat")
		wantText(want, text, err)
	}
	if r.DirInode() != 0 {
		t.Error("got an inode without an open process, want 0")
	}
	if err := r.OpenProcess(7); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(root, "7"), filepath.Join(root, "gone")); err != nil {
		t.Fatal(err)
	}
	writeProcesses(t, root, "new")
	read("old 7/stat\n", 7)
	readTask("old 7/task/8/stat\n")
	read("new 9/stat\n", 9)
	if err := r.OpenTasks(7); err != nil {
		t.Fatal(err)
	}
	readTask("old 7/task/8/stat\n")
	r.CloseTasks()
	r.RedirectToThread(7, 8)
	read("old 7/task/8/stat\n", 7)
	r.RedirectToThread(0, 0)
	text, err := r.ReadHost("stat")
	wantText("btime 1\n", text, err)
	if pids, err := r.AppendPIDs(nil); len(pids) != 2 || err != nil {
		t.Errorf("got PIDs %v and error %v, want 2", pids, err)
	}
	r.CloseProcess()
	read("new 7/stat\n", 7)
	readTask("new 7/task/8/stat\n")
	if err := r.OpenProcess(10); !errors.Is(err, ErrGone) || r.DirInode() != 0 {
		t.Errorf("missing process: got error %v and inode %d, want ErrGone and 0", err, r.DirInode())
	}
}

// TestOpenProcessExit opens a process, which then exits.
func TestOpenProcessExit(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	pid := cmd.Process.Pid
	mount, err := Open("/proc")
	if err != nil {
		t.Fatal(err)
	}
	defer mount.Close()
	r := NewReader(mount)
	defer r.CloseProcess()
	open := func() {
		if err := r.OpenProcess(pid); err != nil {
			t.Fatal(err)
		}
	}
	open()
	listed, err := r.AppendProcesses(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range listed {
		if e.PID == pid && (e.Inode != r.DirInode() || e.Inode == 0) {
			t.Errorf("got inode %d, want %d", r.DirInode(), e.Inode)
		}
	}
	if fds, err := r.CountFDs(pid); err != nil || fds == 0 {
		t.Errorf("got %d descriptors and error %v, want some", fds, err)
	}
	if exe, err := r.ReadLink(pid, "exe"); err != nil || exe[0] != '/' {
		t.Errorf("got exe %q and error %v, want an absolute path", exe, err)
	}
	if !r.Exists(pid) {
		t.Error("got alive false for a live process, want true")
	}
	if n := testing.AllocsPerRun(100, func() { open(); _, _ = r.Read(pid, "stat"); r.DirInode(); r.CloseProcess() }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
	open()
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if _, err := r.Read(pid, "stat"); !errors.Is(err, ErrGone) || r.Exists(pid) {
		t.Errorf("got error %v and alive %v after the exit, want ErrGone and false", err, r.Exists(pid))
	}
}

// copiedProcess returns a Reader of a directory in the format of /proc, with a process of
// PID 10, and the path of that process.
func copiedProcess(t *testing.T) (*Reader, string) {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, "10")
	if err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(filepath.Join(root, "stat"), []byte("btime 1\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	return openReader(t, root), dir
}

func openReader(t testing.TB, root string) *Reader {
	t.Helper()
	m, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return NewReader(m)
}

func TestEachLine(t *testing.T) {
	r, dir := copiedProcess(t)
	var long []string
	for i := range 5000 {
		long = append(long, fmt.Sprint(i, strings.Repeat(" x", i%100)))
	}
	tests := []struct {
		name, text string
		want       []string
		err        error
	}{
		{"empty", "", nil, nil},
		{"longer than the buffer", strings.Join(long, "\n") + "\n", long, nil},
		{"empty lines", "\na\n\n", []string{"", "a", ""}, nil},
		{"truncated", "a\nb", []string{"a"}, syscall.EIO},
		{"too long", strings.Repeat("x", 16<<10) + "\n", nil, syscall.EIO},
		{"as long as the buffer", strings.Repeat("x", 16<<10-1) + "\na\n", []string{strings.Repeat("x", 16<<10-1), "a"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile(filepath.Join(dir, "lines"), []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			var got []string
			err := r.EachLine(10, "lines", func(line []byte) bool {
				got = append(got, string(line))
				return true
			})
			if !errors.Is(err, tt.err) || !slices.Equal(got, tt.want) {
				t.Errorf("got %d lines, error %v, want %d lines, error %v", len(got), err, len(tt.want), tt.err)
			}
		})
	}
	if err := r.EachLine(11, "lines", nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got error %v, want that the file does not exist", err)
	}
	lines := 0
	if err := r.EachLine(10, "lines", func([]byte) bool { lines++; return false }); err != nil || lines != 1 {
		t.Errorf("got %d lines, error %v after false, want 1", lines, err)
	}
}

// TestInodeOfNetworkNamespace checks that the inode of a file below net is the same for
// two processes of a network namespace.
func TestInodeOfNetworkNamespace(t *testing.T) {
	r := openReader(t, "/proc")
	var inodes []uint64
	for _, pid := range []int{os.Getpid(), os.Getppid()} {
		inode, err := r.Inode(pid, "net/tcp")
		if err != nil {
			t.Fatal(err)
		}
		inodes = append(inodes, inode)
	}
	if inodes[0] == 0 || inodes[0] != inodes[1] {
		t.Errorf("got inodes %v, want the same", inodes)
	}
}
