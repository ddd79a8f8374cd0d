package inspect

import (
	"io"
	"testing"
	"time"
)

// TestNamedProcessExits reports on a process that does not exist any more. That is an error if
// the target is a PID, and none if the process was found by its name.
func TestNamedProcessExits(t *testing.T) {
	const gone = 1 << 30 // above the maximum PID
	for _, named := range []bool{false, true} {
		r := &Reporter{reader: newReader(time.Minute), named: map[int]bool{gone: named}}
		if err := r.writeText(io.Discard, []int{gone}); (err == nil) != named {
			t.Errorf("text, found by its name %v: got error %v", named, err)
		}
		if err := r.writeJSON(io.Discard, []int{gone}); (err == nil) != named {
			t.Errorf("JSON, found by its name %v: got error %v", named, err)
		}
	}
}
