package platform

import (
	"slices"
	"testing"
)

// TestAlignByPID checks which items are kept, and that the memory is reused if it suffices.
func TestAlignByPID(t *testing.T) {
	tests := []struct {
		name      string
		old, pids []int
		want      []int // PIDs of kept items are positive, of blank items negative
	}{
		{"empty", nil, nil, []int{}},
		{"all new", nil, []int{1, 2}, []int{-1, -2}},
		{"unchanged", []int{1, 2, 3}, []int{1, 2, 3}, []int{1, 2, 3}},
		{"all exited", []int{1, 2, 3}, nil, []int{}},
		{"first exited", []int{1, 2, 3}, []int{2, 3}, []int{2, 3}},
		{"replaced", []int{1, 3, 5}, []int{2, 3, 4}, []int{-2, 3, -4}},
		{"new at both ends", []int{5}, []int{1, 5, 9}, []int{-1, 5, -9}},
		{"exited and new", []int{1, 2, 3, 4, 5}, []int{2, 5, 6, 7, 8}, []int{2, 5, -6, -7, -8}},
	}
	for _, tt := range tests {
		got := alignByPID(slices.Clone(tt.old), tt.pids, func(p *int) int { return *p }, func(pid int) int { return -pid })
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	if got := deleteWithoutPID([]int{0, 1, 0, 2, 0}, func(p *int) int { return *p }); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("got %v, want [1 2]", got)
	}
}
