package procfs

import (
	"math"
	"strconv"
	"testing"
)

func TestParseUint(t *testing.T) {
	tests := []struct {
		name, text string
		want       uint64
		ok         bool
	}{
		{"zero", "0", 0, true},
		{"number", "1234567890", 1234567890, true},
		{"leading zeros", "007", 7, true},
		{"greatest", "18446744073709551615", math.MaxUint64, true},
		{"one more", "18446744073709551616", 0, false},
		{"20 digits too many", "99999999999999999999", 0, false},
		{"21 digits", "000000000000000000001", 0, false},
		{"empty", "", 0, false},
		{"plus", "+1", 0, false},
		{"minus", "-1", 0, false},
		{"blank in front", " 1", 0, false},
		{"blank behind", "1 ", 0, false},
		{"hexadecimal", "0x1f", 0, false},
		{"byte below 0", "1/", 0, false},
		{"byte above 9", "1:", 0, false},
		{"NUL", "\x00", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := parseUint([]byte(tt.text))
			if ok != tt.ok || ok && got != tt.want {
				t.Errorf("got %d, %v, want %d, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestSetKB(t *testing.T) {
	tests := []struct {
		name, text string
		want       uint64
		ok         bool
	}{
		{"padded", "\t     12 kB", 12 << 10, true},
		{"bare", "1 kB", 1 << 10, true},
		{"greatest", "18014398509481983 kB", 18014398509481983 << 10, true},
		{"overflow", "18014398509481984 kB", 0, false},
		{"no unit", "12", 0, false},
		{"other unit", "12 MB", 0, false},
		{"unit alone", " kB", 0, false},
		{"half a unit", "12 k", 0, false},
		{"blank behind", "12 kB ", 0, false},
		{"negative", "-4 kB", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got uint64
			ok := setKB(&got, []byte(tt.text))
			if ok != tt.ok || ok && got != tt.want {
				t.Errorf("got %d, %v, want %d, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestSetInt(t *testing.T) {
	tests := []struct {
		name, text string
		want       int
		ok         bool
	}{
		{"number", "\t13", 13, true},
		{"greatest", "2147483647", math.MaxInt32, true},
		{"one more", "2147483648", 0, false},
		{"negative", "-1", 0, false},
		{"empty", "", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got int
			ok := setInt(&got, []byte(tt.text))
			if ok != tt.ok || ok && got != tt.want {
				t.Errorf("got %d, %v, want %d, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

// FuzzParseUint checks that parseUint returns what strconv returns, except for
// numbers of more than 20 digits with leading zeros.
func FuzzParseUint(f *testing.F) {
	f.Add("18446744073709551615")
	f.Add("18446744073709551616")
	f.Fuzz(func(t *testing.T, text string) {
		want, err := strconv.ParseUint(text, 10, 64)
		got, ok := parseUint([]byte(text))
		if ok != (err == nil && len(text) <= maxDigits) || ok && got != want {
			t.Errorf("got %d, %v for %q, want %d, %v", got, ok, text, want, err)
		}
	})
}
