package grouping

import (
	"strings"
	"testing"
	"unsafe"
)

// TestNewGroupCopiesStrings checks that a group does not refer to the memory of a
// command line, from which its name and labels are taken.
func TestNewGroupCopiesStrings(t *testing.T) {
	line := strings.Repeat("x", 100) + "name" + "value"
	m := Match{Group: line[100:104], Labels: []string{line[104:]}}
	g := newGroup(&m)
	begin := uintptr(unsafe.Pointer(unsafe.StringData(line)))
	for _, text := range []string{g.name, g.key, g.labels[0], m.Group} {
		if at := uintptr(unsafe.Pointer(unsafe.StringData(text))); at >= begin && at < begin+uintptr(len(line)) {
			t.Errorf("got %q in the memory of the command line, want a copy", text)
		}
	}
	if g.name != "name" || g.labels[0] != "value" {
		t.Errorf("got name %q and labels %q, want name and value", g.name, g.labels)
	}
}
