package procfs

import "testing"

func TestLimitsAt(t *testing.T) {
	var l Limits
	if err := ParseLimits(fixture(t, "linux-6.18/limits"), &l); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		bit  LimitField
		want Limit
	}{
		{"first", LimitCPU, l.CPU}, {"stack", LimitStack, l.Stack}, {"files", LimitOpenFiles, l.OpenFiles}, {"last", LimitRTTime, l.RTTime},
	} {
		k := 0
		for tt.bit>>k != 1 {
			k++
		}
		if got := l.At(k); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
	if got := l.At(16); got != (Limit{}) {
		t.Errorf("got %+v beyond the last", got)
	}
}
