package deploy_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"

	"go.yaml.in/yaml/v3"
)

// A howtoQuery is a query of docs/howto.md with series and expected samples.
type howtoQuery struct {
	Section     string
	InputSeries []map[string]string `yaml:"input_series"`
	ExpSamples  []map[string]any    `yaml:"exp_samples"`
}

// sections returns the sections of a page, each with its heading in the first line.
func sections(t *testing.T, page string) []string {
	t.Helper()
	return strings.Split(read(t, page), "\n## ")[1:]
}

// TestHowtoQueries evaluates each query of docs/howto.md with promtool, and compares
// the result with testdata/howto_queries.yml.
func TestHowtoQueries(t *testing.T) {
	promtool := testenv.RequireProgram(t, "promtool")
	var queries []howtoQuery
	if err := yaml.Unmarshal([]byte(read(t, "testdata/howto_queries.yml")), &queries); err != nil {
		t.Fatal(err)
	}
	var tests []map[string]any
	n := 0
	for _, section := range sections(t, "../docs/howto.md") {
		heading, _, _ := strings.Cut(section, "\n")
		for _, match := range promqlCode.FindAllStringSubmatch(section, -1) {
			if n == len(queries) || queries[n].Section != heading {
				t.Fatalf("got no series for query %d, of section %q:\n%s", n, heading, match[1])
			}
			tests = append(tests, map[string]any{
				"interval": "1m", "input_series": queries[n].InputSeries,
				"promql_expr_test": []map[string]any{{"expr": match[1], "eval_time": "60m", "exp_samples": queries[n].ExpSamples}},
			})
			n++
		}
	}
	if n != len(queries) || n < 10 {
		t.Fatalf("got %d queries on the page, want %d", n, len(queries))
	}
	text, err := yaml.Marshal(map[string]any{"tests": tests})
	if err != nil {
		t.Fatal(err)
	}
	mustOutput(t, promtool, "test", "rules", write(t, "queries.yml", string(text)))
}

var linkToHowto = regexp.MustCompile(`\(docs/howto\.md#([^)]+)\)`)

// TestHowtoIsLinked checks that the README links every section of docs/howto.md.
func TestHowtoIsLinked(t *testing.T) {
	var linked []string
	for _, match := range linkToHowto.FindAllStringSubmatch(read(t, "../README.md"), -1) {
		linked = append(linked, match[1])
	}
	for _, section := range sections(t, "../docs/howto.md") {
		heading, _, _ := strings.Cut(section, "\n")
		anchor := strings.ReplaceAll(strings.ReplaceAll(strings.ToLower(heading), ",", ""), " ", "-")
		if !slices.Contains(linked, anchor) {
			t.Errorf("got no link to docs/howto.md#%s in the README, want one", anchor)
		}
	}
}
