package platform

import (
	"os"
	"testing"

	"github.com/seed57308aee/process_exporter/procfs"
)

// TestFDCountNeedsDACReadSearch compares the answer with the kernel version. Distributions may
// backport the size to older kernels.
func TestFDCountNeedsDACReadSearch(t *testing.T) {
	if FDCountNeedsDACReadSearch() && !procfs.KernelBefore(6, 2) {
		t.Error("got true, want false since Linux 6.2")
	}
	if !sizeIsZero(os.DevNull) || sizeIsZero("/proc/self/missing") {
		t.Error("got false for a size of 0, or true for a missing file")
	}
}
