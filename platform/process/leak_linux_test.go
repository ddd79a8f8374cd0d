package process

import (
	"errors"
	"os"
	"runtime"
	"testing"
)

// usage counts the resources that this program uses.
type usage struct{ objects, fds, goroutines int }

func currentUsage(t *testing.T) usage {
	t.Helper()
	runtime.GC()
	runtime.GC() // empties sync.Pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fds := must[[]os.DirEntry](t)(os.ReadDir("/proc/self/fd"))
	return usage{objects: int(m.HeapObjects), fds: len(fds), goroutines: runtime.NumGoroutine()}
}

// TestNoLeaks reads all attributes many times: of a process that stays open, of one
// that is opened for each round, of views, and of a reaped process.
func TestNoLeaks(t *testing.T) {
	p, dead := startChild(t, nil), startChild(t, nil)
	dead.End()
	round := func(relatives bool) {
		fresh := must[*Process](t)(Open(p.PID()))
		defer fresh.Close()
		for _, a := range attributes() {
			switch a.name {
			case AttrNumHandles:
				continue
			case AttrParents, AttrChildren, AttrDescendants: // these read every process
				if !relatives {
					continue
				}
			}
			for _, q := range []*Process{p.Process, fresh.Oneshot()} {
				if _, err := a.read(q); err != nil {
					t.Fatalf("%s: got error %v, want none", a.name, err)
				}
			}
			if _, err := a.read(dead.Process); err != nil && !errors.Is(err, ErrGone) {
				t.Fatalf("%s: got error %v, want ErrGone", a.name, err)
			}
		}
	}
	const rounds = 1000
	for range 20 { // until files are cached and buffers have grown
		round(true)
	}
	before := currentUsage(t)
	for k := range rounds {
		round(k%20 == 0)
	}
	after := currentUsage(t)
	if after.fds > before.fds || after.goroutines > before.goroutines || after.objects > before.objects+rounds/2 {
		t.Errorf("got %+v after %d rounds, want about %+v as before", after, rounds, before)
	}
}
