package grouping

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/platform"
)

// TestExample guards that the file people start from does what it says.
func TestExample(t *testing.T) {
	c, err := Load("../config.yaml.example")
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range c.Warnings() {
		t.Error(w)
	}
	tests := []struct {
		name    string
		process *platform.Identity
		want    string
	}{
		{"title", process("nginx", "nginx: worker process"), "nginx"},
		{"path", process("postgres", "/usr/lib/postgresql/15/bin/postgres", "-D", "/data"), "postgres"},
		{"jar", process("java", "/usr/bin/java", "-Xmx1g", "-jar", "/opt/shop.jar"), "java:shop"},
		{"no jar", process("java", "/usr/bin/java", "-cp", "/opt", "Main"), "java"},
		{"script", process("python3", "/usr/bin/python3", "-u", "/opt/bin/worker.py", "--fast"), "python3:worker.py"},
		{"module", process("python3", "python3", "-m", "http.server"), "python3:http.server"},
		{"no script", process("python3", "python3"), "python3"},
		{"anything else", process("sshd", "sshd: bob@pts/0"), "sshd"},
		{"kernel thread", process("kthreadd"), nobody},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := groupOf(c, tt.process); got != tt.want {
				t.Errorf("got group %q, want %q", got, tt.want)
			}
		})
	}
}

var update = flag.Bool("update", false, "write the files that are made from the code")

// generated returns the parts of the manual that are made from the code, by the
// word that marks them.
func generated() map[string]string {
	parts := make(map[string]string)
	for what, keys := range map[string][]Key{"file keys": fileKeys, "rule keys": ruleKeys} {
		text := "| Key | Is | Means |\n|---|---|---|\n"
		for _, k := range keys {
			text += fmt.Sprintf("| `%s` | %s | %s |\n", k.Name, k.Type, strings.ReplaceAll(k.Help, "{{.ExeBase}}", "`{{.ExeBase}}`"))
		}
		parts[what] = text
	}
	return parts
}

// TestDocsAreMade holds the tables of the manual and the schema against the list
// of keys that they are made from; `make generate` writes them anew.
func TestDocsAreMade(t *testing.T) {
	const manual, schema = "../docs/configuration.md", "../deploy/config.schema.json"
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	want := string(text)
	for what, table := range generated() {
		mark := "<!-- made by make generate: " + what + " -->\n"
		before, after, found := strings.Cut(want, mark)
		if !found {
			t.Fatalf("%s lacks the line %s", manual, mark)
		}
		after = strings.TrimLeft(after, "\n")
		for strings.HasPrefix(after, "|") {
			_, after, _ = strings.Cut(after, "\n")
		}
		want = before + mark + "\n" + table + "\n" + strings.TrimLeft(after, "\n")
	}
	for file, want := range map[string]string{manual: want, schema: Schema()} {
		if *update {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file)
		if err != nil || string(got) != want {
			t.Errorf("%s differs from the code, error %v; run `make generate`", file, err)
		}
	}
}

// TestDocs checks that every configuration in the pages loads without warnings.
func TestDocs(t *testing.T) {
	for _, file := range []string{"../docs/configuration.md", "../docs/howto.md", "../README.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		blocks := strings.Split(string(text), "```yaml\n")[1:]
		if len(blocks) == 0 {
			t.Errorf("%s: got no YAML block", file)
		}
		for _, block := range blocks {
			block, _, closed := strings.Cut(block, "```\n")
			if strings.HasPrefix(block, "scrape_configs:") {
				continue // for Prometheus
			}
			c, err := Parse(file, []byte(block))
			if err != nil || !closed {
				t.Fatalf("got error %v for this block:\n%s", err, block)
			}
			if len(c.Warnings()) != 0 || len(c.rules) == 0 {
				t.Errorf("got %d rules and warnings %v for this block:\n%s", len(c.rules), c.Warnings(), block)
			}
		}
	}
}

// TestDocsNameEveryField guards the table of what templates can use.
func TestDocsNameEveryField(t *testing.T) {
	text, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range fieldsOf(templateData{}) {
		if !strings.Contains(string(text), "| `."+field+"` |") {
			t.Errorf("the table lacks .%s", field)
		}
	}
}

func fieldsOf(v any) (names []string) {
	of := reflect.TypeOf(v)
	for _, f := range reflect.VisibleFields(of) {
		if f.IsExported() {
			names = append(names, f.Name)
		}
	}
	for m := range reflect.PointerTo(of).Methods() {
		if m.Name != "String" {
			names = append(names, m.Name)
		}
	}
	return names
}
