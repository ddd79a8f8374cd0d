package process

import (
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestAsMapDefault compares the names with those of as_dict of psutil 8 on Linux.
func TestAsMapDefault(t *testing.T) {
	want := strings.Fields(`cmdline cpu_affinity cpu_num cpu_percent cpu_times create_time cwd environ exe gids io_counters
		ionice memory_footprint memory_info memory_info_ex memory_maps memory_percent name net_connections nice
		num_ctx_switches num_fds num_threads open_files page_faults pid ppid status terminal threads uids username`)
	var got []string
	for name := range must[map[Attr]any](t)(openProcess(t, os.Getpid()).AsMap(nil)) {
		got = append(got, string(name))
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got attributes %q, want %q", got, want)
	}
}

func TestAsMapOfAttrs(t *testing.T) {
	self := openProcess(t, os.Getpid())
	got := slices.Sorted(maps.Keys(must[map[Attr]any](t)(self.AsMap(nil, Attrs()...))))
	if want := slices.Sorted(slices.Values(Attrs())); !slices.Equal(got, want) {
		t.Errorf("got attributes %q, want those of Attrs %q", got, want)
	}
	_, err := self.Attr("connections")
	if err == nil || !strings.Contains(err.Error(), `(did you mean "net_connections"?)`) {
		t.Errorf("got error %v, want a suggestion", err)
	}
	for name, want := range map[Attr]error{AttrNumHandles: ErrUnsupported, "cpu_time": ErrInvalid} {
		_, err1 := self.AsMap(nil, AttrName, name)
		_, err2 := self.Attr(name)
		for _, err := range []error{err1, err2} {
			if !errors.Is(err, want) || !strings.Contains(err.Error(), string(name)) {
				t.Errorf("%s: got error %v, want %v with the name", name, err, want)
			}
		}
	}
}

// A countingSystem counts the lists of all processes.
type countingSystem struct {
	system
	lists int
}

func (c *countingSystem) relations() ([]relation, error) {
	c.lists++
	return c.system.relations()
}

// TestRelativesShareList reads the relatives of all processes of an iteration. They
// need one list of all processes.
func TestRelativesShareList(t *testing.T) {
	counting := &countingSystem{system: must[system](t)(openSystem(threeProcesses(t).Root))}
	table := newTable(counting)
	defer table.Close()
	read := 0
	for p, err := range table.All() {
		if err != nil {
			t.Fatal(err)
		}
		must[map[Attr]any](t)(p.AsMap(nil, AttrChildren, AttrDescendants))
		read++
	}
	wantEqual(t, "processes", read, 3)
	wantEqual(t, "lists", counting.lists, 1)
	must[map[Attr]any](t)(openIn(t, table, 10).AsMap(nil, AttrChildren, AttrDescendants))
	wantEqual(t, "lists with one of a single process", counting.lists, 2)
	tree := must[*Tree](t)(table.ReadTree())
	for pid := 10; pid <= 12; pid++ {
		p := openIn(t, table, pid)
		if got, want := tree.DescendantPIDs(p.ID()), must[[]int](t)(p.DescendantPIDs()); !slices.Equal(got, want) {
			t.Errorf("process %d: got descendants %v of a Tree, want %v", pid, got, want)
		}
	}
}
