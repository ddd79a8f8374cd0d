package grouping

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/platform"
	"github.com/seed57308aee/process_exporter/test/testenv"
)

// TestExample checks the groups of config.yaml.example.
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
		{"script", process("python3", "/usr/bin/python3", "-u", "/opt/bin/worker.py", "--fast"), "python3:worker"},
		{"module", process("python3", "python3", "-m", "http.server"), "python3:http.server"},
		{"no script", process("python3", "python3"), "python3"},
		{"other process", process("sshd", "sshd: bob@pts/0"), "sshd"},
		{"kernel thread", process("kthreadd"), noGroup},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := groupOf(c, tt.process); got != tt.want {
				t.Errorf("got group %q, want %q", got, tt.want)
			}
		})
	}
}

// TestReadmeRules checks the groups of the rules in the README.
func TestReadmeRules(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rules, _ := strings.Cut(string(text), "cat >config.yaml <<'END'\n")
	rules, _, _ = strings.Cut(rules, "END\n")
	c, err := Parse("README.md", []byte(rules))
	if err != nil || len(c.Warnings()) > 0 {
		t.Fatalf("got error %v and warnings %v", err, c.Warnings())
	}
	tests := []struct {
		name    string
		process *platform.Identity
		want    string
	}{
		{"jar", process("java", "/usr/bin/java", "-Xmx1g", "-jar", "/opt/shop/shop-1.4.2.jar"), "shop-1.4.2"},
		{"main class", process("java", "java", "-cp", "/opt/shop", "org.example.Shop"), "org.example.Shop"},
		{"no application", process("java", "java", "-version"), "java"},
		{"script", process("python3", "python3", "/opt/worker.py"), "worker"},
		{"thread name of Node.js", process("MainThread", "node", "/srv/cart.js"), "cart"},
		{"other process", process("nginx", "nginx: worker process"), "nginx"},
		{"kernel thread", process("kthreadd"), noGroup},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := groupOf(c, tt.process); got != tt.want {
				t.Errorf("got group %q, want %q", got, tt.want)
			}
		})
	}
}

// keyTable returns the table of configuration keys in the manual.
func keyTable(keys []ConfigKey) string {
	markdown := strings.NewReplacer("{{.ExeBase}}", "`{{.ExeBase}}`", "*", `\*`)
	var rows [][]string
	for _, k := range keys {
		rows = append(rows, []string{"`" + k.Name + "`", k.Type, markdown.Replace(k.Help)})
	}
	return testenv.MarkdownTable([]string{"Key", "Type", "Description"}, rows)
}

// TestGeneratedDocs compares the tables of the manual and the schema with the lists of keys
// from which `make generate` generates them.
func TestGeneratedDocs(t *testing.T) {
	const manual = "../docs/configuration.md"
	testenv.CheckGeneratedSection(t, manual, "file keys", keyTable(fileKeys))
	testenv.CheckGeneratedSection(t, manual, "rule keys", keyTable(ruleKeys))
	testenv.CheckGenerated(t, "../deploy/config.schema.json", Schema())
}

// TestDocs checks that every configuration in the pages loads without warnings.
func TestDocs(t *testing.T) {
	for _, file := range []string{"../docs/configuration.md", "../docs/howto.md"} {
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

// TestDocsListTemplateFields checks that the manual has a table row for every template field.
func TestDocsListTemplateFields(t *testing.T) {
	text, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range fieldsOf(templateData{}) {
		if !strings.Contains(string(text), "| `."+field+"` |") {
			t.Errorf("got no table row for .%s, want one", field)
		}
	}
}

func fieldsOf(v any) (names []string) {
	typ := reflect.TypeOf(v)
	for _, f := range reflect.VisibleFields(typ) {
		if f.IsExported() {
			names = append(names, f.Name)
		}
	}
	for m := range reflect.PointerTo(typ).Methods() {
		if m.Name != "String" {
			names = append(names, m.Name)
		}
	}
	return names
}
