package expression

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

var texts = []string{
	"", " ", "\n", "a", "foo", "bar", "foobar", "xfoo", "foo\n", "\nfoo", "a\nfoo\nb", "foo bar", "foo\nbar",
	"bar foo",
	"/usr/bin/nginx -g daemon off;", "nginx: worker", "java -cp a:b:c -jar /srv/kafka.jar", "FOO", "\xff",
	"foo\xff", "\xfffoo", "é", "\ufffd",
	"x\nfoo bar", "a.b", "axb", "app1 -Dq=x", "app12 -Dq=x",
}

var expressions = []struct {
	text    string
	literal bool // never uses package regexp
}{
	{"", true}, {".+", true}, {".*", true}, {"^.+", true}, {".+$", true}, {"^.+$", true}, {"^.*$", true},
	{"^$", true}, {"^", true}, {"$", true},
	{"(?s).+", true}, {"(?s)^.*$", true}, {"(.+)", true}, {"(?P<all>.*)", true},
	{"foo", true}, {"^foo", true}, {"foo$", true}, {"^foo$", true}, {`\.jar$`, true}, {"foo.*bar", true},
	{"^foo.*bar$", true}, {"foo.+bar", true},
	{"^.*foo", true}, {"foo.*$", true}, {"^.*foo$", true}, {"foo|bar", true}, {"^(foo|bar)$", true},
	{"^/usr/s?bin/(nginx|haproxy)", true},
	{"(?:foo|far|f)o", true}, {"foo|", true}, {"[ab]foo", true}, {"(?i)123", true}, {"a{0}b", false},
	{"é", true}, {"foo.*.*bar", true}, {".+.+", true},
	{"foo\\n", true}, {"foo\\n.*bar", false}, {"(?s)foo\\n.*bar", true}, {"(?s:foo.*)b.*r", false},
	{`\Afoo\z`, true}, {"^^foo$$", true},
	{".", false}, {"fo+", false}, {`\bfoo\b`, false}, {`-Dapp=app1\b.*-Dq=(?P<q>\S+)`, false},
	{"(?i)foo", false}, {"[a-z]+", false}, {"a^b", false},
	{"a$b", false}, {"foo$.*", false}, {"(?m)^foo$", false}, {"\ufffd", false}, {"\\x{fffd}o", false},
	{"[^a]", false}, {"x{3}", false}, {"(a|b*)", false},
	{"^a|b", false}, {"(^foo|bar)", false}, {"foo?", true}, {"(foo)?$", true}, {"^(foo)?", true},
	{"(?U)foo.*bar", true}, {".*?foo", true},
}

// TestMatch compares each expression with package regexp.
func TestMatch(t *testing.T) {
	for _, tt := range expressions {
		e, err := Parse(tt.text)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.literals != nil && e.literals.exact; got != tt.literal {
			t.Errorf("%q: got literal %v, want %v", tt.text, got, tt.literal)
		}
		for _, text := range texts {
			compare(t, e, text)
		}
	}
}

// compare compares the results of an expression with those of package regexp.
func compare(t *testing.T, e *Expression, text string) {
	t.Helper()
	re := regexp.MustCompile(e.String())
	if got, want := e.Match(text), re.MatchString(text); got != want {
		t.Errorf("got %v of %q for %q, want %v", got, e, text, want)
	}
	if got, want := e.FindSubmatch(text), re.FindStringSubmatch(text); !slices.Equal(got, want) || (got == nil) != (want == nil) {
		t.Errorf("got submatches %q of %q for %q, want %q", got, e, text, want)
	}
	if got, want := e.GroupNames(), re.SubexpNames(); !slices.Equal(got, want) {
		t.Errorf("got names %q of %q, want %q", got, e, want)
	}
	if e.MatchesAny() && !re.MatchString(text) && strings.Trim(text, "\n") != "" {
		t.Errorf("%q matches any text, but not %q", e, text)
	}
}

func TestParseErrors(t *testing.T) {
	for _, text := range []string{"(", "a{1001}", "(?=a)", `\`, "[b-a]", strings.Repeat("(", 2000)} {
		_, want := regexp.Compile(text)
		if _, err := Parse(text); err == nil || err.Error() != want.Error() {
			t.Errorf("got error %v, want %v", err, want)
		}
	}
}

// FuzzMatch checks that results are those of package regexp.
func FuzzMatch(f *testing.F) {
	for i, tt := range expressions {
		f.Add(tt.text, texts[i%len(texts)])
	}
	f.Fuzz(func(t *testing.T, expr, text string) {
		if len(expr) > 200 || len(text) > 2000 {
			t.Skip("slow with package regexp")
		}
		e, err := Parse(expr)
		if err != nil {
			return
		}
		if e.Instructions() > 20_000 {
			t.Skip("slow with package regexp")
		}
		compare(t, e, text)
	})
}

func TestInstructions(t *testing.T) {
	for text, want := range map[string][2]int{
		"a": {1, 5}, "a{1000}": {1000, 3000}, "(a{30}){30}": {900, 5000}, "[a-z]{500}|[0-9]{500}": {1000, 4000}, ".+": {1, 5},
	} {
		e, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.Instructions(); got < want[0] || got > want[1] {
			t.Errorf("%s: got %d instructions, want %d to %d", text, got, want[0], want[1])
		}
	}
}

// TestMatchAllocs checks that literals are compared without an allocation.
func TestMatchAllocs(t *testing.T) {
	for _, expr := range []string{".+", "foo.*bar", "^/usr/bin/(a|b)$"} {
		e, err := Parse(expr)
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() { e.Match("x foo y bar") }); n != 0 {
			t.Errorf("%s: got %v allocations, want 0", expr, n)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	text := strings.Repeat("-Dapp=app1 -Dque", 8192)
	for _, expr := range []string{".+", "kafka.*jar", `-Dapp=app1\b.*-Dqueue=(?P<q>\S+)`} {
		e, err := Parse(expr)
		if err != nil {
			b.Fatal(err)
		}
		re := regexp.MustCompile(expr)
		b.Run("expression/"+expr, func(b *testing.B) {
			for b.Loop() {
				e.Match(text)
			}
		})
		b.Run("regexp/"+expr, func(b *testing.B) {
			for b.Loop() {
				re.MatchString(text)
			}
		})
	}
}
