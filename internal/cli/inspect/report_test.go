package inspect

import "testing"

func TestAppendJSON(t *testing.T) {
	for _, tt := range []struct {
		name  string
		value any
		want  string
	}{
		{"nothing", nil, "null"},
		{"text", "a\"\\\n\x01ä😀", `"a\"\\\n\u0001\u00e4\ud83d\ude00"`},
		{"not UTF-8", "\xff", `{"b64": "/w=="}`},
		{"name not UTF-8", object{{"\xff", 1}}, `{"b64:/w==": 1}`},
		{"lists", []any{1, []string{"a"}, []int(nil), 0.5}, `[1, ["a"], [], 0.5]`},
		{"object", object{{"b", true}, {"a", uint64(1)<<63 + 1}}, `{"b": true, "a": 9223372036854775809}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(appendJSON(nil, tt.value)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestTextFormat(t *testing.T) {
	for _, tt := range []struct{ name, got, want string }{
		{"bytes", BytesText(1023), "1023 B"},
		{"more bytes", BytesText(1536), "1.5 KiB"},
		{"most bytes", BytesText(1<<64 - 1), "16.0 EiB"},
		{"arguments", quoteArgs([]string{"a", "b c", ""}), `a "b c" ""`},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, tt.got, tt.want)
		}
	}
}
