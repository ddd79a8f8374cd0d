package process

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"
)

// forgedBytes is how long a command line and an environment seem to be that take
// no memory.
const forgedBytes = 16 << 30

// TestLargeCmdlineAndEnviron has a process whose command line and environment seem to be of
// 16 GiB. They are refused soon and without their memory; all else is there.
func TestLargeCmdlineAndEnviron(t *testing.T) {
	p := startChild(t, nil, "name=just15bytesLong", fmt.Sprintf("forge=%d,4096", int64(forgedBytes)))
	reads := map[string]func() error{
		"cmdline":     func() error { _, err := p.Cmdline(); return err },
		"cmdline raw": func() error { _, err := p.CmdlineRaw(); return err },
		"environ":     func() error { _, err := p.Environ(); return err },
	}
	for name, read := range reads {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		err := read()
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		t.Logf("%s: %v; %d KiB allocated in %v", name, err, (after.TotalAlloc-before.TotalAlloc)>>10, took)
		if !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: got error %v, want ErrTooLarge", name, err)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 5*8<<20 {
			t.Errorf("%s: %d bytes were allocated", name, grown)
		}
	}
	wantEqual(t, "name", must[string](t)(p.Name()), "just15bytesLong")
	all := must[map[Attr]any](t)(p.AsMap("withheld"))
	if all["cmdline"] != "withheld" || all["environ"] != "withheld" || all["pid"] != p.PID() {
		t.Errorf("got %v", all)
	}
}
