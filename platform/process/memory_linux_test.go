package process

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// mappingOf returns the mapping with this path and size. A test chooses the size so
// that the mapping is unique.
func mappingOf(t *testing.T, p *Process, path string, size uint64) MemoryMap {
	t.Helper()
	maps := must[[]MemoryMap](t)(p.MemoryMaps())
	maps = slices.DeleteFunc(maps, func(m MemoryMap) bool { return m.Path != path || m.Size != size })
	if len(maps) != 1 {
		t.Fatalf("got %d mappings of %d bytes at %s, want one", len(maps), size, path)
	}
	return maps[0]
}

// TestLockedMemory maps memory that is locked in RAM and not shared.
func TestLockedMemory(t *testing.T) {
	size := uint64(13 * os.Getpagesize())
	p := startChild(t, nil, fmt.Sprintf("map=locked,%d", size))
	m := mappingOf(t, p.Process, "[anon]", size)
	wantEqual(t, "permissions", m.Perms, "rw-p")
	wantEqual(t, "RSS", m.RSS, size)
	wantEqual(t, "PSS", m.PSS, size)
	wantEqual(t, "private", m.PrivateDirty+m.PrivateClean, size)
	wantEqual(t, "anonymous", m.Anonymous, size)
	wantEqual(t, "swap", m.Swap, 0)
}

func TestSharedMemory(t *testing.T) {
	const size = 5 << 20
	without := must[MemoryInfoEx](t)(startChild(t, nil).MemoryInfoEx())
	p := startChild(t, nil, fmt.Sprintf("map=shared,%d", size))
	const tolerance = 1 << 20 // the kernel batches counters per CPU
	if got, want := must[MemoryInfoEx](t)(p.MemoryInfoEx()).RSSShmem, without.RSSShmem+size; got+tolerance < want || got > want+tolerance {
		t.Errorf("got RSSShmem %d, want about %d", got, want)
	}
	m := mappingOf(t, p.Process, "/dev/zero", size)
	wantEqual(t, "deleted", m.Deleted, true)
	wantEqual(t, "permissions", m.Perms, "rw-s")
	wantEqual(t, "RSS", m.RSS, size)
}

func TestAnonymousMemory(t *testing.T) {
	const size = 32 << 20
	without := must[MemoryFullInfo](t)(startChild(t, nil).MemoryFullInfo())
	p := startChild(t, nil, fmt.Sprintf("map=anonymous,%d", size))
	full, ex := must[MemoryFullInfo](t)(p.MemoryFullInfo()), must[MemoryInfoEx](t)(p.MemoryInfoEx())
	if full.RSS < size || full.USS < size || full.PSS < size || ex.RSSAnon < size || ex.PeakRSS < size {
		t.Errorf("got %+v, %+v, want at least %d bytes of private memory", full, ex, size)
	}
	if full.Data < without.Data+size/2 { // reserved address space differs between runs
		t.Errorf("got %+v, want %d bytes more than %+v", full, size, without)
	}
	percent := must[float64](t)(p.MemoryPercent(MemoryUSS))
	total := must[uint64](t)(p.shared.table.MemoryBytes())
	if want := float64(size) / float64(total) * 100; percent < want {
		t.Errorf("got %v percent of the memory, want at least %v", percent, want)
	}
}

// TestSparseMemory maps much more than the memory of the machine, with few resident
// pages.
func TestSparseMemory(t *testing.T) {
	const file, reserved uint64 = 64 << 30, 1 << 40
	path := filepath.Join(t.TempDir(), "a hole")
	p := startChild(t, nil, fmt.Sprintf("map=file,%d,%s", file, path), fmt.Sprintf("map=reserved,%d", reserved))
	page := uint64(os.Getpagesize())

	m := mappingOf(t, p.Process, path, file)
	wantEqual(t, "permissions", m.Perms, "rw-s")
	wantEqual(t, "range", m.End-m.Start, file)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "size of the file", info.Size(), int64(file))
	if m.RSS < page || m.RSS > 4<<20 {
		t.Errorf("got RSS %d, want about one page", m.RSS)
	}

	m = mappingOf(t, p.Process, "[anon]", reserved)
	wantEqual(t, "permissions", m.Perms, "r--p")
	wantEqual(t, "RSS", m.RSS, 0)
	memory := must[MemoryFullInfo](t)(p.MemoryFullInfo())
	if memory.VMS < file+reserved || memory.RSS > 1<<30 || memory.USS > 1<<30 {
		t.Errorf("got %+v, want a large VMS and a small RSS", memory)
	}
	if peak := must[MemoryInfoEx](t)(p.MemoryInfoEx()).PeakVMS; peak < file+reserved {
		t.Errorf("got peak %d, want at least %d", peak, file+reserved)
	}
}

// TestHugePages maps a page of 2 MiB, which the kernel does not count in RSS. It allows
// the kernel to allocate such pages during the test, if it does not already.
func TestHugePages(t *testing.T) {
	testenv.RequireRoot(t)
	const file, size = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages", 2 << 20
	before, err := os.ReadFile(file)
	if err != nil {
		t.Skipf("requires pages of 2 MiB: %v", err)
	}
	if strings.TrimSpace(string(before)) == "0" {
		if err := os.WriteFile(file, []byte("2"), 0); err != nil {
			t.Skipf("cannot allow pages of 2 MiB: %v", err)
		}
		t.Cleanup(func() { _ = os.WriteFile(file, before, 0) })
	}
	other := startChild(t, nil) // shares its code with p
	p := startChild(t, nil, fmt.Sprintf("map=huge,%d", size))
	without := must[MemoryFullInfo](t)(other.MemoryFullInfo())
	wantEqual(t, "hugetlb", must[MemoryInfoEx](t)(p.MemoryInfoEx()).Hugetlb, size)
	with := must[MemoryFullInfo](t)(p.MemoryFullInfo())
	if with.USS < size || with.USS < without.USS+size/2 {
		t.Errorf("got USS %d, want %d bytes more than %d without huge pages", with.USS, size, without.USS)
	}
	m := mappingOf(t, p.Process, "/anon_hugepage", size)
	wantEqual(t, "RSS", m.RSS, 0)
}

// TestNoArguments runs a program with an empty argument vector.
func TestNoArguments(t *testing.T) {
	p := startChild(t, nil, "noargs")
	raw := must[[]byte](t)(p.CmdlineRaw())
	args := must[[]string](t)(p.Cmdline())
	if text := string(raw); text != "" && text != "\x00" { // since Linux 5.18 execve(2) adds an empty argument
		t.Errorf("got command line %q, want none or an empty argument", raw)
	}
	wantEqual(t, "arguments", len(args), len(raw))
	wantEqual(t, "joined arguments", strings.Join(args, "+"), "")
	wantEqual(t, "name", must[string](t)(p.Name()), "edgecase")
	wantEqual(t, "exe", must[string](t)(p.Exe()), testenv.EdgeCaseProgram(t))
	variables := must[map[string]string](t)(p.Environ())
	if len(variables) != 1 || variables["ONLY"] != "variable" {
		t.Errorf("got environment %q, want only ONLY=variable", variables)
	}
}

// TestErasedCmdline uses a process title of NULs, and a program with a truncated name
// and no argument that completes it.
func TestErasedCmdline(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a-long-name-0123456789")
	testenv.CopyEdgeCase(t, path)
	p := startChild(t, func(c *exec.Cmd) { c.Path = path }, "noargs")
	wantEqual(t, "name", must[string](t)(p.Name()), filepath.Base(path)[:maxComm])
	q := startChild(t, nil, "title=")
	wantEqual(t, "arguments", strings.Join(must[[]string](t)(q.Cmdline()), ""), "")
	wantEqual(t, "name", must[string](t)(q.Name()), "edgecase")
}
