package procfs

import "testing"

func TestParseFDInfo(t *testing.T) {
	tests := []struct {
		name, text string
		want       FDInfo
		bad        string // Field of the ParseError, "none" for none
	}{
		{"6.18", "pos:\t1024\nflags:\t0100002\nmnt_id:\t24\nino:\t3\n", FDInfo{1024, 0100002}, "none"},
		{"3.10", "pos:\t0\nflags:\t02004002\n", FDInfo{0, 02004002}, "none"},
		{"below zero", "pos:\t-1\nflags:\t00\n", FDInfo{-1, 0}, "none"},
		{"least", "pos:\t-9223372036854775808\nflags:\t07\n", FDInfo{-1 << 63, 7}, "none"},
		{"too great", "pos:\t9223372036854775808\nflags:\t07\n", FDInfo{}, "pos"},
		{"no octal digit", "pos:\t0\nflags:\t08\n", FDInfo{}, "flags"},
		{"no flags", "pos:\t0\n", FDInfo{}, ""},
		{"empty", "", FDInfo{}, ""},
		{"truncated", "pos:\t0\nflags:\t01", FDInfo{}, "flags"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got FDInfo
			wantParseError(t, ParseFDInfo([]byte(tt.text), &got), "fdinfo", tt.bad)
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestParseFDInfoAllocs(t *testing.T) {
	text, dst := []byte("pos:\t1024\nflags:\t0100002\n"), new(FDInfo)
	wantNoAllocs(t, func() error { return ParseFDInfo(text, dst) })
}

// FuzzParseFDInfo checks that ParseFDInfo never panics and never returns a value
// with an error.
func FuzzParseFDInfo(f *testing.F) {
	f.Add([]byte("pos:\t-1\nflags:\t0100002\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var got FDInfo
		if err := ParseFDInfo(text, &got); err != nil && got != (FDInfo{}) {
			t.Errorf("got %+v and error %v, want no value with an error", got, err)
		}
	})
}
