package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"
)

// tryBPF scrapes once with the bpf source, and returns an error if that fails.
var tryBPF = sync.OnceValue(func() error {
	out, err := exec.Command(binary, "--source=bpf", "--once-to-stdout-delay=1ns").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
})

// requireBPF skips a test if the bpf source cannot be used. With CI=true, as root on a kernel with
// BTF, that is a failure.
func requireBPF(t *testing.T) {
	t.Helper()
	err := tryBPF()
	if err == nil {
		return
	}
	_, noTypes := os.Stat("/sys/kernel/btf/vmlinux")
	if os.Getenv("CI") == "true" && os.Geteuid() == 0 && noTypes == nil {
		t.Fatal(err)
	}
	t.Skipf("the bpf source is not available: %v", err)
}

func requireLinux(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("requires Linux: reads processes")
	}
}

// requireRoot skips a test that mounts a file system if it does not run as root.
func requireRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("requires root: mounts procfs")
	}
}

// chaos is set by make chaos: full loads, with checks of time limits. Otherwise loads are small, and
// the tests check only results that do not depend on speed.
var chaos = os.Getenv("PROCESS_EXPORTER_CHAOS") != ""

// raceDetector is set by PROCESS_EXPORTER_RACE, which makes the load tests use the binary with the
// race detector. Time and memory are then not checked.
var raceDetector = os.Getenv("PROCESS_EXPORTER_RACE") != ""

// checkTimes enables the checks of times and sizes.
var checkTimes = chaos && !raceDetector
