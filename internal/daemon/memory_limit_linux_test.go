package daemon

import (
	"math"
	"os"
	"path/filepath"
	"testing"
)

func TestCgroupMemoryLimit(t *testing.T) {
	root := t.TempDir()
	for path, text := range map[string]string{
		"a/memory.max": "1000000\n", "a/b/memory.max": "max\n", "c/memory.max": "5000\n",
		"memory/v1/memory.limit_in_bytes": "777\n", "memory/memory.limit_in_bytes": "9223372036854771712\n",
	} {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name, cgroups string
		want          int64
	}{
		{"no cgroup", "", math.MaxInt64},
		{"no limit", "0::/d\n", math.MaxInt64},
		{"limit of the parent", "0::/a/b\n", 1000000},
		{"limit of the cgroup", "0::/c\n", 5000},
		{"cgroup v1", "9:cpu:/c\n8:memory:/v1\n0::/\n", 777},
		{"invalid lines", "0::\nx\n:::\n0::/../../c", 5000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := cgroupMemoryLimit(root, tt.cgroups); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}
