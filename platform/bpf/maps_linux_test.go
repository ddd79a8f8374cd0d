//go:build amd64 || arm64

package bpf

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// TestVariables requires that the programs have no variables other than constants: user space maps
// the others writable.
func TestVariables(t *testing.T) {
	for name, load := range map[string]func() (*ebpf.CollectionSpec, error){
		"pidns_level": loadPidnsLevel, "tasks": loadTasks, "sockets": loadSockets,
	} {
		spec, err := load()
		if err != nil {
			t.Fatal(err)
		}
		if spec.Maps[".rodata"] == nil {
			t.Errorf("%s: got maps %v, want .rodata", name, slices.Collect(maps.Keys(spec.Maps)))
		}
		for _, m := range spec.Maps {
			if m.Flags&unix.BPF_F_MMAPABLE != 0 || strings.HasPrefix(m.Name, ".") && m.Name != ".rodata" {
				t.Errorf("%s: user space can map %s writable, want no variables", name, m.Name)
			}
		}
		for _, v := range spec.Variables {
			if !v.Constant() {
				t.Errorf("%s: got a variable %s in %s, want only constants", name, v.Name, v.SectionName)
			}
		}
	}
}

// TestHeldMaps loads all programs and checks the file descriptors of maps that this process then has.
// The programs use no value that it can change, except entries of exited_threads, which it can delete:
// they are counters.
func TestHeldMaps(t *testing.T) {
	before, mappedBefore := heldMaps(t), writableMappings(t)
	loadOrSkip(t, Options{})
	sockets, err := LoadSockets(SocketOptions{Closed: func(*ClosedSocket) {}})
	if err != nil {
		testenv.SkipWithoutBPF(t, err)
	}
	defer sockets.Close()
	var got []string
	for id, description := range heldMaps(t) {
		if before[id] == "" {
			got = append(got, description)
		}
	}
	slices.Sort(got)
	want := []string{
		describeMap(ebpf.Hash, unix.O_WRONLY),                                          // exited_threads
		describeMap(ebpf.Array, unix.O_RDONLY), describeMap(ebpf.Array, unix.O_RDONLY), // lost_events, lost_sockets
		describeMap(ebpf.RingBuf, unix.O_RDWR), describeMap(ebpf.RingBuf, unix.O_RDWR), // events, closed_sockets
	}
	if slices.Sort(want); !slices.Equal(got, want) {
		t.Errorf("got file descriptors of maps %q, want %q", got, want)
	}
	mapped := 0
	for address, size := range writableMappings(t) {
		if mappedBefore[address] == 0 {
			mapped++
			if size != uint64(os.Getpagesize()) {
				t.Errorf("got a writable mapping of %d bytes of a map, want one page: the read position of a ring buffer", size)
			}
		}
	}
	if mapped > 2 {
		t.Errorf("got %d new writable mappings of maps, want one for each ring buffer", mapped)
	}
}

func describeMap(kind ebpf.MapType, access int) string {
	return fmt.Sprintf("%v with access %d", kind, access)
}

// heldMaps returns the type and access of each map of which this process has a file descriptor, by
// its ID.
func heldMaps(t *testing.T) map[string]string {
	t.Helper()
	fds, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	held := make(map[string]string)
	for _, fd := range fds {
		if target, _ := os.Readlink(fd); target != "anon_inode:bpf-map" {
			continue
		}
		info, err := os.ReadFile("/proc/self/fdinfo/" + filepath.Base(fd))
		if err != nil {
			continue // closed since
		}
		var kind ebpf.MapType
		var access int
		id := fd // before Linux 5.8
		for line := range strings.Lines(string(info)) {
			switch key, value, _ := strings.Cut(strings.TrimSpace(line), ":\t"); key {
			case "flags":
				_, err = fmt.Sscanf(value, "%o", &access)
			case "map_type":
				_, err = fmt.Sscan(value, &kind)
			case "map_id":
				id = value
			}
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
		}
		held[id] = describeMap(kind, access&unix.O_ACCMODE)
	}
	return held
}

// writableMappings returns the sizes of the writable mappings of maps by their addresses.
func writableMappings(t *testing.T) map[uint64]uint64 {
	t.Helper()
	file, err := os.Open("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	found := make(map[uint64]uint64)
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var from, to uint64
		var mode string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &mode); err != nil {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		if strings.Contains(lines.Text(), "bpf-map") && strings.Contains(mode, "w") {
			found[from] = to - from
		}
	}
	return found
}
