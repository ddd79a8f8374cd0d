package grouping

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"text/template"
)

// parseWithFuncs parses a template with the functions of the configuration.
func parseWithFuncs(t *testing.T, text string) *template.Template {
	t.Helper()
	funcs := boundedFuncs()
	maps.Copy(funcs, templateFuncs())
	tmpl, err := template.New("name").Funcs(funcs).Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

func TestTemplateFuncs(t *testing.T) {
	data := &templateData{templateFields: templateFields{
		Comm: "Java", ExeFull: "/opt/My App/bin/java8.bin", Username: "", PID: 42,
		Matches: map[string]string{"n": "shop-7f9c", "empty": ""},
	}}
	tests := []struct{ text, want string }{
		{`{{basename .ExeFull}}`, "java8.bin"},
		{`{{basename ""}}`, ""},
		{`{{basename "/"}}`, "/"},
		{`{{basename "a/b/"}}`, "b"},
		{`{{dirname .ExeFull}}`, "/opt/My App/bin"},
		{`{{.ExeFull | dirname | dirname | basename}}`, "My App"},
		{`{{dirname "x"}}`, "."},
		{`{{lower .Comm}}`, "java"},
		{`{{upper "línea ß"}}`, "LÍNEA ß"},
		{`{{lower "CAF\xe9\xff"}}`, "caf\xe9\xff"},
		{`{{lower "A\uFFFDB"}}`, "a\uFFFDb"},
		{`{{replace " " "_" .ExeFull}}`, "/opt/My_App/bin/java8.bin"},
		{`{{.Comm | replace "a" ""}}`, "Jv"},
		{`{{replace "" "-" "ab"}}`, "-a-b-"},
		{`{{replace "x" "y" .Matches.nope}}`, ""},
		{`{{trimPrefix "/opt/" .ExeFull}}`, "My App/bin/java8.bin"},
		{`{{trimPrefix "x" .Comm}}`, "Java"},
		{`{{.ExeFull | basename | trimSuffix ".bin"}}`, "java8"},
		{`{{trimPrefix "4" .PID}}`, "2"},
		{`{{default "none" .Username}}`, "none"},
		{`{{default "none" .Comm}}`, "Java"},
		{`{{.Matches.empty | default .Comm | lower}}`, "java"},
		{`{{.Matches.nope | default "none"}}`, "none"},
		{`{{default .Matches.nope .Matches.nope}}`, ""},
		{`{{default 1 ""}}`, "1"},
		{`{{lower .Matches.nope}}`, ""},
		{`{{regexReplace "[0-9]+" "N" .ExeFull}}`, "/opt/My App/bin/javaN.bin"},
		{`{{.Matches.n | regexReplace "-[0-9a-f]+$" ""}}`, "shop"},
		{`{{regexReplace "^(?P<a>\\w+)-(.*)$" "${2}_${a}$$" .Matches.n}}`, "7f9c_shop$"},
		{`{{regexReplace .Comm "x" "a Java b"}}`, "a x b"},
		{`{{regexReplace "e" "x" "caf\xe9e"}}`, "caf\xe9x"},
		{`{{regexReplace "" "-" "ab"}}`, "-a-b-"},
		{`{{regexReplace "x" "y" .Matches.nope}}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			var out strings.Builder
			if err := parseWithFuncs(t, tt.text).Execute(&out, data); err != nil {
				t.Fatal(err)
			}
			if out.String() != tt.want {
				t.Errorf("got %q, want %q", out.String(), tt.want)
			}
		})
	}
}

// TestTemplateFuncsLimit checks that functions fail for results longer than maxNameBytes,
// and succeed for results of that length.
func TestTemplateFuncsLimit(t *testing.T) {
	long, longest := strings.Repeat("a", maxNameBytes+1), strings.Repeat("a", maxNameBytes)
	data := &templateData{templateFields: templateFields{ExeFull: long, Comm: longest,
		Matches: map[string]string{"pattern": strings.Repeat("a?", maxPattern)}}}
	tests := []struct {
		text string
		want int // bytes, -1 for an error
	}{
		{`{{basename .Comm}}`, maxNameBytes},
		{`{{basename .ExeFull}}`, -1},
		{`{{dirname .ExeFull}}`, -1},
		{`{{lower .Comm}}`, maxNameBytes},
		{`{{lower .ExeFull}}`, -1},
		{`{{replace "a" "Ⱥ" .Comm | lower}}`, -1},
		{`{{trimPrefix "a" .Comm}}`, maxNameBytes - 1},
		{`{{trimSuffix "a" .ExeFull}}`, -1},
		{`{{default .ExeFull ""}}`, -1},
		{`{{default "" .ExeFull}}`, -1},
		{`{{replace "a" "b" .Comm}}`, maxNameBytes},
		{`{{replace "a" .Comm .Comm}}`, -1},
		{`{{replace "" "b" .Comm}}`, -1},
		{`{{replace "a" "" .Comm}}`, 0},
		{`{{regexReplace "a" "b" .Comm}}`, maxNameBytes},
		{`{{regexReplace "a+" .Comm .Comm}}`, maxNameBytes},
		{`{{regexReplace "a" "bb" .Comm}}`, -1},
		{`{{regexReplace "a" .Comm .Comm}}`, -1},
		{`{{regexReplace "(a+)" "$1$1" .Comm}}`, -1},
		{`{{regexReplace "(a+)" "$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1" .Comm}}`, -1},
		{`{{regexReplace "x" "$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1" .Comm}}`, maxNameBytes},
		{`{{regexReplace .Matches.pattern "" "a"}}`, -1},
		{`{{regexReplace "(" "" "a"}}`, -1},
		{`{{$x := "ab"}}{{range 60}}{{$x = replace "" $x $x}}{{end}}{{$x}}`, -1},
		{`{{$x := "ab"}}{{range 60}}{{$x = regexReplace "." "$0$0" $x}}{{end}}{{$x}}`, -1},
		{`{{lower .Matches}}`, 8200},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			var out strings.Builder
			data := *data
			if strings.Contains(tt.text, "lower .Matches") {
				data.Matches = map[string]string{"p": strings.Repeat("A", 8193)}
			}
			err := parseWithFuncs(t, tt.text).Execute(&out, &data)
			if (err != nil) != (tt.want < 0) || err == nil && out.Len() != tt.want {
				t.Errorf("got %d bytes and error %.200v, want %d", out.Len(), err, tt.want)
			}
		})
	}
}

func TestTooLong(t *testing.T) {
	long := strings.Repeat("a", maxNameBytes+1)
	for name, f := range map[string]func() (string, error){
		"text":    func() (string, error) { return textOf(long) },
		"other":   func() (string, error) { return textOf([]string{long}) },
		"replace": func() (string, error) { return replace("a", long, "a") },
		"regex":   func() (string, error) { return (&patternCache{}).replace("a", long, strings.Repeat("a", 99)) },
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := f(); got != "" || !errors.Is(err, errTooLong) {
				t.Errorf("got %d bytes and error %v, want %v", len(got), err, errTooLong)
			}
		})
	}
}

func TestCheckFuncs(t *testing.T) {
	tests := []struct {
		text string
		ok   bool
	}{
		{`{{.Comm}}`, true},
		{`{{regexReplace "a(b)" "$1" .Comm}}`, true},
		{`{{regexReplace "a(?P<n>b)" "${n}${1}$0$$" .Comm}}`, true},
		{`{{regexReplace "a" "costs $" .Comm}}`, true},
		{`{{regexReplace .Comm "$7" .Comm}}`, true},
		{`{{regexReplace "a" .Comm .Comm}}`, true},
		{`{{regexReplace "("}}`, false},
		{`{{regexReplace "(" "" .Comm}}`, false},
		{`{{.Comm | regexReplace "(" "" | lower}}`, false},
		{"{{.Comm | lower | regexReplace `[` ``}}", false},
		{`{{lower (regexReplace "(" "" .Comm)}}`, false},
		{`{{$x := regexReplace "(" "" .Comm}}{{$x}}`, false},
		{`{{if .Comm}}{{else}}{{regexReplace "(" "" .Comm}}{{end}}`, false},
		{`{{with regexReplace "(" "" .Comm}}{{end}}`, false},
		{`{{range .Cgroups}}{{regexReplace "(" "" .}}{{end}}`, false},
		{`{{regexReplace "a(?=b)" "" .Comm}}`, false},
		{`{{regexReplace "a(b)" "$2" .Comm}}`, false},
		{`{{regexReplace "a(b)" "$1_x" .Comm}}`, false},
		{`{{regexReplace "a(b)" "${n}" .Comm}}`, false},
		{`{{regexReplace "a(b)" "$99999999999999999999" .Comm}}`, false},
		{`{{regexReplace "` + strings.Repeat("a", maxPattern+1) + `" "" .Comm}}`, false},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			if err := checkFuncs(parseWithFuncs(t, tt.text).Root); (err == nil) != tt.ok {
				t.Errorf("got error %v, want success %v", err, tt.ok)
			}
		})
	}
}

// TestPatternCache checks that patterns are compiled once, that their number is limited, and
// that goroutines can share the cache.
func TestPatternCache(t *testing.T) {
	c := &patternCache{}
	one, err := c.compile("a+")
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := c.compile("a+"); again != one {
		t.Error("got a pattern compiled twice, want once")
	}
	var group sync.WaitGroup
	for g := range 4 {
		group.Go(func() {
			for i := range 10 * maxPatterns {
				want := fmt.Sprint("<", i, ">")
				if got, err := c.replace(fmt.Sprint("^", i, "$"), want, i); err != nil || got != want {
					t.Errorf("goroutine %d: got %q, %v, want %q", g, got, err, want)
				}
			}
		})
	}
	group.Wait()
	if len(c.compiled) > maxPatterns {
		t.Errorf("got %d patterns, want at most %d", len(c.compiled), maxPatterns)
	}
}

// FuzzTemplateFuncs checks that functions never panic, that results are limited, and that
// patterns which pass the check work.
func FuzzTemplateFuncs(f *testing.F) {
	f.Add("a(b)", "$1x", "ab\xe9")
	f.Add("(?P<n>.)", "${n}${n}", "\uFFFD")
	f.Add("", "", "/a/../b//")
	f.Fuzz(func(t *testing.T, one, two, s string) {
		funcs := templateFuncs()
		for _, name := range []string{"basename", "dirname", "lower", "upper"} {
			if got, err := funcs[name].(func(any) (string, error))(s); len(got) > maxNameBytes || err != nil && got != "" {
				t.Errorf("%s %q: got %d bytes and error %v", name, s, len(got), err)
			}
		}
		c := &patternCache{}
		got, err := c.replace(one, two, s)
		_, bad := compilePattern(one)
		if len(got) > maxNameBytes || bad == nil && err != nil && !errors.Is(err, errTooLong) || bad != nil && err == nil {
			t.Errorf("regexReplace %q %q %q: got %d bytes, error %v, pattern %v", one, two, s, len(got), err, bad)
		}
		if got, err := replace(one, two, s); err == nil && got != strings.ReplaceAll(s, one, two) {
			t.Errorf("replace %q %q %q: got %q", one, two, s, got)
		}
	})
}
