package printable

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// hostile has control characters of 7 and 8 bits, a change of the text direction, and a character
// that is not printable and needs two UTF-16 units.
const hostile = "a\x1b[2J\a\r\x7f\u009b31m\u202e\U000e0001é世"

func TestText(t *testing.T) {
	for text, want := range map[string]string{
		"plain é": "plain é", "a\x1b[2Jb": `a\x1b[2Jb`, "\x9b31m": `\x9b31m`, "\u009b\x7f\n": `\u009b\x7f\n`,
	} {
		if got := Text(text); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestJSON(t *testing.T) {
	text, err := json.Marshal(map[string]string{hostile: hostile})
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	var out bytes.Buffer
	if _, err := (JSONWriter{&out}).Write(text); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got[hostile] != hostile {
		t.Errorf("got %q and error %v, want %q", got, err, hostile)
	}
	if strings.ContainsAny(out.String(), "\x1b\x7f\u009b\r\a") {
		t.Errorf("got control characters in %q", out.String())
	}
	if plain := []byte(`{"a": "é"}`); &JSON(plain)[0] != &plain[0] {
		t.Error("got a copy of text without control characters")
	}
}

// TestWriter writes text in parts of each length, which split characters.
func TestWriter(t *testing.T) {
	const text = "name\t" + hostile + "\x9b\n"
	const want = "name\ta\\u001b[2J\\u0007\\u000d\\u007f\\u009b31m\\u202e\\udb40\\udc01é世\\x9b\n"
	for size := 1; size <= len(text); size++ {
		var out strings.Builder
		w := NewWriter(&out)
		for rest := text; rest != ""; {
			part := rest[:min(size, len(rest))]
			if n, err := w.Write([]byte(part)); n != len(part) || err != nil {
				t.Fatalf("got %d and error %v, want %d", n, err, len(part))
			}
			rest = rest[len(part):]
		}
		if out.String() != want {
			t.Errorf("parts of %d bytes: got %q, want %q", size, out.String(), want)
		}
	}
}
