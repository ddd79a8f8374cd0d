package platform

import (
	"os"
	"testing"
)

func TestReleaseBefore(t *testing.T) {
	for release, want := range map[string]bool{
		"5.17.0": true, "5.18.19-arch1": true, "5.19.0": false, "6.1.0-28-amd64": false, "4.19.0": true, "10.0": false, "unknown": true, "": true,
	} {
		if got := releaseBefore(release, 5, 19); got != want {
			t.Errorf("%q: got %v, want %v", release, got, want)
		}
	}
}

// TestFDCountNeedsSearch compares the answer with the kernel version. Distributions may
// backport the size to older kernels.
func TestFDCountNeedsSearch(t *testing.T) {
	if FDCountNeedsSearch() && !releaseBefore(release(), 6, 2) {
		t.Error("got true, want false since Linux 6.2")
	}
	if !sizeIsZero(os.DevNull) || sizeIsZero("/proc/self/missing") {
		t.Error("got false for a size of 0, or true for a missing file")
	}
}
