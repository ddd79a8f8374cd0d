package process

import (
	"errors"
	"os"
	"runtime"
	"testing"
)

// held is what a program can leak.
type held struct{ objects, fds, goroutines int }

func heldNow(t *testing.T) held {
	t.Helper()
	runtime.GC()
	runtime.GC() // empties what pools keep
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fds := must[[]os.DirEntry](t)(os.ReadDir("/proc/self/fd"))
	return held{objects: int(m.HeapObjects), fds: len(fds), goroutines: runtime.NumGoroutine()}
}

// TestNoLeaks calls all that reads again and again, on a process that stays
// open and on one opened for each round, on views, and on one that is gone.
func TestNoLeaks(t *testing.T) {
	p, dead := startChild(t, nil), startChild(t, nil)
	dead.End()
	round := func(relatives bool) {
		fresh := must[*Process](t)(Open(p.PID()))
		defer fresh.Close()
		for _, a := range attributes() {
			switch a.name {
			case "num_handles":
				continue
			case "parents", "children", "children_recursive": // read every process of the machine
				if !relatives {
					continue
				}
			}
			for _, q := range []*Process{p.Process, fresh.Oneshot()} {
				if _, err := a.read(q); err != nil {
					t.Fatalf("%s: %v", a.name, err)
				}
			}
			if _, err := a.read(dead.Process); err != nil && !errors.Is(err, ErrGone) {
				t.Fatalf("%s: got error %v, want ErrGone", a.name, err)
			}
		}
	}
	const rounds = 1000
	for range 20 { // until files are kept open and buffers are large enough
		round(true)
	}
	before := heldNow(t)
	for k := range rounds {
		round(k%20 == 0)
	}
	after := heldNow(t)
	if after.fds > before.fds || after.goroutines > before.goroutines || after.objects > before.objects+rounds/2 {
		t.Errorf("got %+v after %d rounds, and %+v before", after, rounds, before)
	}
}
