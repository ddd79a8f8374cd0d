package procfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// socketPairs opens n pairs of sockets and returns their descriptors in ascending order.
func socketPairs(t *testing.T, n int) (sockets []SocketFD) {
	t.Helper()
	for range n {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = unix.Close(pair[0]), unix.Close(pair[1]) })
		for _, fd := range pair {
			var st unix.Stat_t
			if err := unix.Fstat(fd, &st); err != nil {
				t.Fatal(err)
			}
			sockets = append(sockets, SocketFD{uint32(fd), st.Ino})
		}
	}
	slices.SortFunc(sockets, func(a, b SocketFD) int { return int(a.FD) - int(b.FD) })
	return sockets
}

// onlyThese returns the elements of got that are in want: other tests have sockets too.
func onlyThese(got, want []SocketFD) []SocketFD {
	return slices.DeleteFunc(slices.Clone(got), func(s SocketFD) bool { return !slices.Contains(want, s) })
}

func TestAppendSocketFDs(t *testing.T) {
	r, pid := openReader(t, "/proc"), os.Getpid()
	want := socketPairs(t, 400) // more than one call of getdents
	got, next, err := r.AppendSocketFDs(nil, pid, SocketFDScan{})
	if err != nil || next != 0 || !slices.Equal(onlyThese(got, want), want) {
		t.Errorf("got %d of %d sockets, next %d, error %v", len(onlyThese(got, want)), len(want), next, err)
	}
	t.Run("from", func(t *testing.T) {
		from := want[500].FD
		got, _, err := r.AppendSocketFDs(nil, pid, SocketFDScan{From: from})
		if err != nil || got[0].FD < from || !slices.Equal(onlyThese(got, want), want[500:]) {
			t.Errorf("got %d of %d sockets, error %v", len(onlyThese(got, want)), len(want)-500, err)
		}
	})
	t.Run("known", func(t *testing.T) {
		known := []SocketFD{{want[3].FD, 7}, {want[700].FD, 8}, {1 << 30, 9}} // the last is not open
		got, _, err := r.AppendSocketFDs(nil, pid, SocketFDScan{Known: known})
		if err != nil || !slices.Contains(got, known[0]) || !slices.Contains(got, known[1]) || slices.Contains(got, known[2]) {
			t.Errorf("got %v, error %v, want the first two of %v", got, err, known)
		}
		if found := onlyThese(got, want); len(found) != len(want)-2 {
			t.Errorf("got %d sockets whose links were read, want %d", len(found), len(want)-2)
		}
	})
	t.Run("stop", func(t *testing.T) {
		var got []SocketFD
		calls, from := 0, uint32(0)
		for ; from != 0 || calls == 0; calls++ {
			var err error
			if got, from, err = r.AppendSocketFDs(got, pid, SocketFDScan{From: from, Stop: func() bool { return true }}); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(onlyThese(got, want), want) || calls < len(want)/16 {
			t.Errorf("got %d of %d sockets in %d calls, want all in at least %d", len(onlyThese(got, want)), len(want), calls, len(want)/16)
		}
	})
	t.Run("allocations", func(t *testing.T) {
		wantNoAllocs(t, func() (err error) {
			got, _, err = r.AppendSocketFDs(got[:0], pid, SocketFDScan{})
			return err
		})
		inode := func(line []byte) bool { return len(line) > 0 }
		wantNoAllocs(t, func() error { return r.EachLine(pid, "net/unix", inode) })
	})
}

// TestAppendSocketFDsOfCopy reads a copy of /proc in files.
func TestAppendSocketFDsOfCopy(t *testing.T) {
	r, dir := copiedProcess(t)
	err := os.Mkdir(filepath.Join(dir, "fd"), 0o755)
	for fd, target := range []string{"/dev/null", "socket:[7]", "socket:[]", "socket:[8", "socket:[18446744073709551615]", "pipe:[9]"} {
		err = errors.Join(err, os.Symlink(target, filepath.Join(dir, "fd", fmt.Sprint(fd))))
	}
	if err != nil {
		t.Fatal(err)
	}
	got, next, err := r.AppendSocketFDs(nil, 10, SocketFDScan{From: 1})
	slices.SortFunc(got, func(a, b SocketFD) int { return int(a.FD) - int(b.FD) })
	if want := []SocketFD{{1, 7}, {4, 1<<64 - 1}}; err != nil || next != 0 || !slices.Equal(got, want) {
		t.Errorf("got %v, next %d, error %v, want %v", got, next, err, want)
	}
	if _, _, err := r.AppendSocketFDs(nil, 11, SocketFDScan{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got error %v, want that the directory does not exist", err)
	}
}
