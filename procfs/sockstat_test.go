package procfs

import "testing"

func TestParseSockstat(t *testing.T) {
	const v4 = "sockets: used 229\nTCP: inuse 7 orphan 0 tw 2 alloc 9 mem 1\nUDP: inuse 3 mem 0\n" +
		"UDPLITE: inuse 4\nRAW: inuse 5\nFRAG: inuse 0 memory 0\n"
	before := Sockstat{1, 2, 3, 4}
	tests := []struct {
		name, text string
		want       Sockstat
		bad        string // Field of the ParseError, "none" for none
	}{
		{"6.18 sockstat", v4, Sockstat{7, 3, 3, 4}, "none"},
		{"6.18 sockstat6", "TCP6: inuse 11\nUDP6: inuse 12\nUDPLITE6: inuse 0\nRAW6: inuse 0\nFRAG6: inuse 0 memory 0\n",
			Sockstat{1, 2, 11, 12}, "none"},
		{"empty", "", before, "none"},
		{"other key", "TCP: used 3\n", before, "TCP"},
		{"no number", "UDP6: inuse\n", before, "UDP6"},
		{"negative", "TCP6: inuse -1\n", before, "TCP6"},
		{"too large", "UDP: inuse 18446744073709551616\n", before, "UDP"},
		{"truncated", "TCP: inuse 7 orphan 0\nUDP: inuse 3", before, "UDP"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := before
			wantParseError(t, ParseSockstat([]byte(tt.text), &got), "sockstat", tt.bad)
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
	dst := new(Sockstat)
	wantNoAllocs(t, func() error { return ParseSockstat([]byte(v4), dst) })
}

// FuzzParseSockstat checks that ParseSockstat never panics and never returns a value with
// an error.
func FuzzParseSockstat(f *testing.F) {
	f.Add([]byte("TCP: inuse 7 orphan 0\nUDP: inuse 3 mem 0\nTCP6: inuse 1\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var got Sockstat
		if err := ParseSockstat(text, &got); err != nil && got != (Sockstat{}) {
			t.Errorf("got %+v and error %v, want no value with an error", got, err)
		}
	})
}
