package grouping

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp/syntax"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/seed57308aee/process_exporter/platform"
)

// javaConfig puts the process java into the group j.
const javaConfig = "process_names:\n- {name: j, comm: [java]}\n"

var acceptedConfigs = []struct {
	name, text, want string // want is the group of the process java
	warnings         []string
}{
	{name: "empty file", text: "", want: noGroup, warnings: []string{"the file has no rules"}},
	{name: "only a comment", text: "# nothing\n", want: noGroup, warnings: []string{"the file has no rules"}},
	{name: "empty document", text: "---\n", want: noGroup, warnings: []string{"the file has no rules"}},
	{name: "null", text: "process_names:\n", want: noGroup, warnings: []string{"the file has no rules"}},
	{name: "empty mapping", text: "{}\n", want: noGroup, warnings: []string{"the file has no rules"}},
	{name: "empty list", text: "process_names: []\n", want: noGroup, warnings: []string{"the file has no rules"}},
	{name: "one rule", text: javaConfig, want: "j"},
	{name: "BOM", text: "\uFEFF" + javaConfig, want: "j"},
	{name: "CRLF line ends", text: strings.ReplaceAll(javaConfig, "\n", "\r\n"), want: "j"},
	{name: "JSON", text: `{"process_names":[{"name":"{{.Comm}}","cmdline":[".+"]}]}`, want: "java"},
	{name: "JSON with tabs and BOM", text: "\uFEFF{\n\t\"process_names\": [\n\t\t{\"comm\": [\"ja\\u0076a\"]}\n\t]\n}\n", want: "java"},
	{name: "anchor in a rule",
		text: "process_names:\n- {name: a, comm: &c [sh]}\n- {name: b, exe: *c}\n- {name: c, cmdline: &d [java]}\n", want: "c"},
	{name: "anchors of all kinds", text: "x-all: &all [&rule {name: &n j, comm: &c [&java java]}]\nprocess_names: *all\n", want: "j"},
	{name: "merge", text: "x-base: &base {comm: [java], name: base}\nprocess_names:\n- {<<: *base, name: own}\n", want: "own"},
	{name: "merge after", text: "x-base: &base {comm: [java], name: base}\nprocess_names:\n- {name: own, <<: *base}\n", want: "own"},
	{name: "merge list", text: "x-a: &a {name: a}\nx-b: &b {comm: [java], name: b}\nprocess_names:\n- <<: [*a, *b]\n", want: "a"},
	{name: "merge at the top", text: "x-a: &a {process_names: [{name: a, comm: [java]}]}\n<<: *a\n", want: "a"},
	{name: "merge of the same mapping", text: "process_names:\n- &a {comm: [java], name: a, <<: *a}\n", want: "a"},
	{name: "nested merges", text: mergeBomb(), want: "j"},
	{name: "two documents", text: javaConfig + "---\n" + strings.ReplaceAll(javaConfig, "j,", "k,"), want: "j",
		warnings: []string{"3: only the first document"}},
	{name: "broken second document", text: javaConfig + "---\n[\n", want: "j", warnings: []string{"only the first document"}},
	{name: "empty first document", text: "---\n---\n" + javaConfig, want: noGroup, warnings: []string{"only the first document"}},
	{name: "misspelled key", text: strings.ReplaceAll(javaConfig, "names", "name"), want: noGroup,
		warnings: []string{`1: unknown key "process_name", did you mean "process_names"?`}},
	{name: "unknown key in a rule", text: "process_names:\n- comm: [java]\n  name: j\n  Cmdline: [x]\n  processes: {}\n", want: "j",
		warnings: []string{`4: unknown key "Cmdline", did you mean "cmdline"?`, `5: unknown key "processes"; the keys here are name`}},
	{name: "key with x-", text: "x-mine: 1\n" + javaConfig, want: "j"},
	{name: "duplicate key in a rule", text: "process_names:\n- comm: [sh]\n  name: j\n  comm: [java]\n", want: "j",
		warnings: []string{`4: key "comm" is given twice`}},
	{name: "duplicate key of the file", text: javaConfig + "process_names: []\n", want: noGroup,
		warnings: []string{`3: key "process_names" is given twice`}},
	{name: "one warning for a repeated rule", text: "process_names:\n- &r {comm: [java], name: j, foo: 1}\n- *r\n", want: "j",
		warnings: []string{`2: unknown key "foo"`, "3: the rule is never reached"}},
	{name: "empty item", text: "process_names:\n- name: j\n  cmdline:\n  -\n", want: "j",
		warnings: []string{"4: an item of cmdline is empty"}},
	{name: "long name", text: "process_names:\n- comm: [process-exporter]\n", want: noGroup,
		warnings: []string{`2: comm "process-exporter" is longer than 15 bytes, to which Linux truncates process names; write process-exporte`}},
	{name: "long name of a kernel thread", text: "process_names:\n- comm: [ext4-rsv-conversion, ext4-rsv-conver, kworker/0:1-events]\n",
		want: noGroup},
	{name: "unknown field", text: "process_names:\n- comm: [java]\n  name: pre-{{.Bogus}}-post\n", want: "pre-",
		warnings: []string{`3: name template "pre-{{.Bogus}}-post" fails: no field .Bogus; the fields are .App, .Cgroups, .Comm`}},
	{name: "misspelled field", text: "process_names:\n- comm: [java]\n  name: 'pre-{{.Com}}'\n", want: "pre-",
		warnings: []string{`fails: no field .Com, did you mean .Comm?`}},
	{name: "unknown capture", text: "process_names:\n- cmdline: ['(?P<a>j)']\n  name: '{{.Matches.b}}'\n", want: "<no value>",
		warnings: []string{`prints <no value>`}},
	{name: "a string is a list with one item", text: "process_names:\n- name: j\n  comm: java\n", want: "j"},
	{name: "an expression is a list with one item", text: "process_names:\n- name: j\n  cmdline: ^jav\n", want: "j"},
	{name: "template that requires cgroups", text: "process_names:\n- comm: [java]\n  name: '{{index .Cgroups 0}}'\n", want: "/a.scope"},
	{name: "template with optional cgroups", text: "process_names:\n- comm: [java]\n  name: '{{with .Cgroups}}{{index . 0}}{{end}}'\n",
		want: "/a.scope"},
	{name: "template that requires a long capture",
		text: "process_names:\n- cmdline: ['(?P<a>j.*)']\n  name: '{{slice .Matches.a 0 3}}'\n", want: "jav"},
	{name: "template that requires a long name", text: "process_names:\n- comm: [java]\n  name: '{{slice .Comm 0 4}}'\n", want: "java"},
}

func TestParseAccepts(t *testing.T) {
	for _, tt := range acceptedConfigs {
		t.Run(tt.name, func(t *testing.T) {
			c := mustParse(t, tt.text)
			if got := groupOf(c, process("java", "java")); got != tt.want {
				t.Errorf("got group %q, want %q", got, tt.want)
			}
			got := c.Warnings()
			if len(got) != len(tt.warnings) {
				t.Fatalf("got warnings %q, want %q", got, tt.warnings)
			}
			for i, w := range got {
				if w.Path != "test.yaml" || !strings.Contains(fmt.Sprintf("%d: %s", w.Line, w.Text), tt.warnings[i]) {
					t.Errorf("got warning %q, want %q in it", w, tt.warnings[i])
				}
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct {
		name, text string
		line       int
		remedy     string // part of the message
	}{
		{"no selector", "process_names:\n- {name: all, cmdline: }\n", 2, "give it comm, exe or cmdline"},
		{"no rule", "process_names:\n-\n", 2, "a rule is empty"},
		{"misspelled selector", "process_names:\n- name: j\n  comand: [a]\n", 3, `unknown key "comand", did you mean comm or cmdline?`},
		{"misspelled selector with one candidate", "process_names:\n- cmdlin: [a]\n", 2, `unknown key "cmdlin", did you mean "cmdline"?`},
		{"tab", "process_names:\n\t- comm: [a]\n", 2, "tab character; YAML indents with spaces"},
		{"tab after spaces", "process_names:\n- comm: [a]\n  \tname: a\n", 3, "tab character; YAML indents with spaces"},
		{"double quotes", "process_names:\n- cmdline: [\"\\S+\"]\n", 2, "use single quotes"},
		{"rule is a string", "process_names:\n- java\n", 2, "- comm: [java]"},
		{"rules are a string", "process_names: java\n", 1, "begin each rule"},
		{"rules are a mapping", "process_names:\n  comm: [java]\n", 2, "begin each rule"},
		{"file is a list", "- comm: [java]\n", 1, "begin it with process_names:"},
		{"file is a string", "java\n", 1, "begin it with process_names:"},
		{"selector is a mapping", "process_names:\n- comm: {java: 1}\n", 2, "comm is a mapping"},
		{"nested list", "process_names:\n- comm:\n  - a\n  - [b]\n", 4, "an item of comm is a list"},
		{"nested mapping", "process_names:\n- cmdline:\n  - a: b\n", 3, "an item of cmdline is a mapping"},
		{"name is a list", "process_names:\n- comm: [a]\n  name: [b]\n", 3, "name is a list"},
		{"template without quotes", "process_names:\n- comm: [a]\n  name: {{.Comm}}\n", 3, "quotes"},
		{"key is a list", "process_names:\n- ? [a]\n  : b\n", 2, "a key is a list"},
		{"regexp", "process_names:\n- cmdline:\n  - a\n  - '('\n", 4, `bad cmdline regex "("`},
		{"shell pattern", "process_names:\n- {name: x, cmdline: ['*.jar']}\n", 2, "looks like a shell pattern: write .*"},
		{"lookahead", "process_names:\n- cmdline: ['a(?!b)']\n", 2, `bad cmdline regex "a(?!b)"`},
		{"lookahead hint", "process_names:\n- cmdline: ['a(?=b)']\n", 2, "no lookaround (?="},
		{"lookbehind hint", "process_names:\n- cmdline: ['(?<!b)a']\n", 2, "no lookaround (?<!"},
		{"template", "process_names:\n- comm: [a]\n  name: '{{.Comm'\n", 3, `bad name template "{{.Comm"`},
		{"unknown function", "process_names:\n- comm: [a]\n  name: '{{title .Comm}}'\n", 3, "text/template"},
		{"bad pattern in a function", "process_names:\n- comm: [a]\n  name: '{{regexReplace \"(\" \"\" .Comm}}'\n", 3, "missing closing )"},
		{"base64", "process_names:\n- comm: [!!binary '*']\n", 2, "base64"},
		{"merge of a string", "process_names:\n- {<<: a, comm: [a]}\n", 2, "<< merges a single text"},
		{"unknown anchor", "process_names: *a\n", 1, "not valid YAML"},
		{"syntax", "process_names:\n- comm: [a]\n  name: \"x\n", 3, "not valid YAML"},
		{"open bracket", "process_names:\n- comm: [a\n- b: c\n", 2, "not valid YAML"},
		{"indentation", "process_names:\n- comm: [a]\n name: b\n", 3, "not valid YAML"},
		{"tab", "process_names:\n\t- comm: [a]\n", 2, "not valid YAML"},
		{"control character", "process_names:\n- comm: [\"a\x01\"]\n", 2, "not valid YAML"},
		{"not UTF-8", "process_names:\n- comm: [caf\xe9]\n", 2, "not valid YAML"},
		{"aliases of aliases", aliasBomb(), 0, "aliases"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Parse("test.yaml", []byte(tt.text))
			var ce *ConfigError
			if c != nil || !errors.As(err, &ce) {
				t.Fatalf("got %v, error %v, want a ConfigError", c, err)
			}
			if tt.line != 0 && ce.Line != tt.line {
				t.Errorf("got line %d, want %d: %v", ce.Line, tt.line, err)
			}
			if !strings.Contains(ce.Text, tt.remedy) || strings.Contains(ce.Error(), "\n") {
				t.Errorf("got %q, want one line with %q", ce.Error(), tt.remedy)
			}
		})
	}
}

// mergeBomb returns a file that refers to one mapping by a billion paths.
func mergeBomb() string {
	text := "x-0: &a0 {comm: [java], name: j}\n"
	for i := range 30 {
		text += fmt.Sprintf("x-%d: &a%d {<<: [*a%d, *a%d]}\n", i+1, i+1, i, i)
	}
	return text + "process_names:\n- <<: *a30\n"
}

// aliasBomb returns a short file whose aliases expand to four million entries.
func aliasBomb() string {
	text := "x-list: &list [" + strings.Repeat("a,", 2000) + "]\nprocess_names:\n"
	return text + strings.Repeat("- cmdline: *list\n", 2000)
}

func TestConfigErrorUnwraps(t *testing.T) {
	_, err := Parse("test.yaml", []byte("process_names:\n- cmdline: ['(']\n"))
	var se *syntax.Error
	if !errors.As(err, &se) {
		t.Errorf("got error %v, want a syntax.Error", err)
	}
	_, err = Load(filepath.Join(t.TempDir(), "absent.yaml"))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got error %v, want fs.ErrNotExist", err)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := "process_names:\n- comm: [java]\n"
	largest := good + strings.Repeat("#", maxConfigBytes-len(good))
	link := filepath.Join(dir, "link")
	if err := os.Symlink(write("good", good), link); err != nil {
		t.Skip("requires symbolic links:", err)
	}
	tests := []struct {
		name, path string
		ok         bool
	}{
		{"good", write("good", good), true},
		{"symbolic link, as in Kubernetes", link, true},
		{"empty", write("empty", ""), true},
		{"largest", write("largest", largest), true},
		{"too large", write("too large", largest+"#"), false},
		{"bad", write("bad", "process_names: 1"), false},
		{"absent", filepath.Join(dir, "absent"), false},
		{"directory", dir, false},
		{"device", os.DevNull, false},
		{"empty path", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Load(tt.path)
			var ce *ConfigError
			if (c != nil) != tt.ok || (err == nil) != tt.ok || err != nil && (!errors.As(err, &ce) || ce.Path != tt.path) {
				t.Errorf("got %v, error %v, want ok %v", c, err, tt.ok)
			}
		})
	}
}

// FuzzParse checks that Parse never panics, that it returns either an error or a Config,
// and that group names are valid label values.
func FuzzParse(f *testing.F) {
	f.Add("process_names:\n- {name: '{{.Comm}}:{{.Matches.a}}', cmdline: ['(?P<a>.+)'], exe: [a, /b], comm: [1, ~]}\n---\n")
	f.Add("x-a: &a {<<: [*a], comm: &b [java]}\nprocess_names:\n- {<<: *a, exe: *b}\n")
	f.Add(`{"process_names":[{"name":"{{range 9}}{{printf \"%*d\" 7 .PID}}{{end}}","comm":["java"]}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse("test.yaml", []byte(text))
		var ce *ConfigError
		switch {
		case (c == nil) == (err == nil):
			t.Fatalf("got %v and error %v, want exactly one", c, err)
		case err != nil && (!errors.As(err, &ce) || ce.Line < 1 || strings.ContainsAny(err.Error(), "\r\n")):
			t.Fatalf("got error %q, want a ConfigError of one line", err)
		case err != nil:
			return
		}
		for _, id := range []*platform.Identity{process("java"), process("java", "/bin/java", "-jar")} {
			if got := c.Match(id); !utf8.ValidString(got.Group) || !got.OK && got.Group != "" {
				t.Errorf("got %+v, want a valid label value", got)
			}
		}
	})
}
