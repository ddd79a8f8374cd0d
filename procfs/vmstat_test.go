package procfs

import (
	"fmt"
	"testing"
)

func TestParseVMStat(t *testing.T) {
	tests := []struct {
		name, text string
		want       VMStat
		bad        string // field of the ParseError
	}{
		{"usual", "nr_free_pages 5\npgpgin 3\npgpgout 4\npswpin 1\n", VMStat{ReadBytes: 3072, WriteBytes: 4096}, "none"},
		{"empty", "", VMStat{}, "pgpgin"},
		{"one missing", "pgpgout 4\n", VMStat{}, "pgpgin"},
		{"cut", "pgpgin 3\npgpgout 4", VMStat{}, "pgpgout"},
		{"no number", "pgpgin x\npgpgout 4\n", VMStat{}, "pgpgin"},
		{"overflow", "pgpgin 18446744073709551615\npgpgout 4\n", VMStat{}, "pgpgin"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := VMStat{}
			wantParseError(t, ParseVMStat([]byte(tt.text), &got), "vmstat", tt.bad)
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestParseVMStatAllocs(t *testing.T) {
	text, got := []byte("pgpgin 3\npgpgout 4\n"), new(VMStat)
	wantNoAllocs(t, func() error { return ParseVMStat(text, got) })
}

// FuzzParseVMStat checks that the parser never panics, never returns a value with an error, and
// parses its printed result to the same value.
func FuzzParseVMStat(f *testing.F) {
	f.Add([]byte("pgpgin 3\npgpgout 4\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var got, again VMStat
		if err := ParseVMStat(text, &got); err != nil {
			if got != again {
				t.Errorf("got %+v and error %v, want no value with an error", got, err)
			}
			return
		}
		printed := fmt.Sprintf("pgpgin %d\npgpgout %d\n", got.ReadBytes>>10, got.WriteBytes>>10)
		if err := ParseVMStat([]byte(printed), &again); err != nil || got != again {
			t.Errorf("got %+v and error %v for %q, want %+v", again, err, printed, got)
		}
	})
}
