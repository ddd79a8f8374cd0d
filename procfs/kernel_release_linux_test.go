package procfs

import "testing"

func TestReleaseBefore(t *testing.T) {
	for release, want := range map[string]bool{
		"5.17.0": true, "5.18.19-arch1": true, "5.19.0": false, "6.1.0-28-amd64": false, "4.19.0": true, "10.0": false, "unknown": true, "": true,
	} {
		if got := releaseBefore(release, 5, 19); got != want {
			t.Errorf("%q: got %v, want %v", release, got, want)
		}
	}
}
