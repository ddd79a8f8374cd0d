package grouping

import (
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func validate(t *testing.T, s *jsonschema.Schema, text string) error {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v, of this text:\n%s", err, text)
	}
	return s.Validate(v)
}

// TestSchemaAccepts checks that the schema accepts every example of the documentation.
func TestSchemaAccepts(t *testing.T) {
	s := compiledSchema(t)
	examples := []string{"", "{}", "process_names:\n", `{"process_names": [{"name": "{{.Comm}}", "cmdline": [".+"]}]}`}
	for _, file := range []string{"../docs/configuration.md", "../docs/howto.md", "../docs/troubleshooting.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range strings.Split(string(text), "```yaml\n")[1:] {
			block, _, _ = strings.Cut(block, "```\n")
			examples = append(examples, block)
		}
	}
	text, err := os.ReadFile("../config.yaml.example")
	if err != nil {
		t.Fatal(err)
	}
	examples = append(examples, string(text))
	for _, example := range examples[1:] {
		if err := validate(t, s, example); err != nil {
			t.Errorf("got error %v, want none, of this example:\n%s", err, example)
		}
	}
}

// TestSchemaRejects checks that the schema rejects wrong keys and types. The exporter
// rejects them or warns about them.
func TestSchemaRejects(t *testing.T) {
	s := compiledSchema(t)
	for _, rule := range []string{
		"comn: java", "comm: {java: 1}", "comm: [[java]]", "name: [x]", "not: [java]", "not: {name: x}", "children: perhaps", "ignore: 1",
		"top: few", "top: -1", "max_groups: 1.5", "expect: 3", "expect: {least: 3}", "expect: {}",
		"labels: a", "labels: {a-b: x}", "labels: {a: [x]}",
	} {
		text := "process_names:\n- cmdline: .+\n  " + rule + "\n"
		if !strings.HasPrefix(rule, "name") {
			text += "  name: g\n"
		}
		if validate(t, s, text) == nil {
			t.Errorf("%s: got no error from the schema, want one", rule)
		}
		if c, err := Parse("test.yaml", []byte(text)); err == nil && len(c.Warnings()) == 0 {
			t.Errorf("%s: got neither an error nor a warning from Parse, want one", rule)
		}
	}
	for _, text := range []string{"process_name: []", "- comm: a", "process_names: {comm: a}", "process_names: java"} {
		if validate(t, s, text) == nil {
			t.Errorf("%s: got no error from the schema, want one", text)
		}
	}
}
