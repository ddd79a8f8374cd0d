package procfs

import "testing"

func TestParseTGID(t *testing.T) {
	tests := []struct {
		name, text string
		want       int
		bad        string
	}{
		{"6.18", string(fixture(t, "linux-6.18/status")), 6322, "none"},
		{"name cannot forge it", "Name:\tTgid:\t9\nTgid:\t7\n", 7, "none"},
		{"missing", "Name:\tx\n", 0, "Tgid"},
		{"cut short", "Tgid:\t7", 0, "Tgid"},
		{"no number", "Tgid:\tx\n", 0, "Tgid"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseTGID([]byte(tt.text))
			wantParseError(t, err, "status", tt.bad)
			if got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

// FuzzParseTGID asserts that an error comes without an answer.
func FuzzParseTGID(f *testing.F) {
	f.Add([]byte("Tgid:\t7\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if got, err := ParseTGID(text); err != nil && got != 0 || got < 0 {
			t.Errorf("got %d, error %v", got, err)
		}
	})
}
