package process

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
)

// sparseBytes is the apparent size of a command line and an environment that use no
// memory.
const sparseBytes = 16 << 30

// TestLargeCmdlineAndEnviron starts a child whose command line and environment appear
// to be 16 GiB. Their reads fail with ErrTooLarge and allocate little memory. The
// other attributes are readable.
func TestLargeCmdlineAndEnviron(t *testing.T) {
	p := startChild(t, nil, "name=just15bytesLong", fmt.Sprintf("hugeargs=%d,4096", int64(sparseBytes)))
	reads := map[string]func() error{
		"cmdline":     func() error { _, err := p.Cmdline(); return err },
		"cmdline raw": func() error { _, err := p.CmdlineRaw(); return err },
		"environ":     func() error { _, err := p.Environ(); return err },
	}
	for name, read := range reads {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := read()
		runtime.ReadMemStats(&after)
		t.Logf("%s: %v; %d KiB allocated", name, err, (after.TotalAlloc-before.TotalAlloc)>>10)
		if !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: got error %v, want ErrTooLarge", name, err)
		}
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 5*8<<20 {
			t.Errorf("%s: got %d bytes allocated, want at most 40 MiB", name, allocated)
		}
	}
	wantEqual(t, "name", must[string](t)(p.Name()), "just15bytesLong")
	all := must[map[Attr]any](t)(p.AsMap("denied"))
	if all["cmdline"] != "denied" || all["environ"] != "denied" || all["pid"] != p.PID() {
		t.Errorf("got %v, want cmdline and environ denied", all)
	}
}
