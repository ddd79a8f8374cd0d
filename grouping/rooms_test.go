package grouping

import (
	"strings"
	"testing"
	"unsafe"
)

// TestGroupKeepsNoCommandLine takes a name and a label out of a long text, whose
// memory must not live as long as the group.
func TestGroupKeepsNoCommandLine(t *testing.T) {
	line := strings.Repeat("x", 100) + "name" + "value"
	m := Match{Group: line[100:104], Labels: []string{line[104:]}}
	g := newGroup(&m)
	begin := uintptr(unsafe.Pointer(unsafe.StringData(line)))
	for _, text := range []string{g.name, g.key, g.labels[0], m.Group} {
		if at := uintptr(unsafe.Pointer(unsafe.StringData(text))); at >= begin && at < begin+uintptr(len(line)) {
			t.Errorf("%q is a part of the command line", text)
		}
	}
	if g.name != "name" || g.labels[0] != "value" {
		t.Errorf("got %q with %q", g.name, g.labels)
	}
}
