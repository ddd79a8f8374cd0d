package deploy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"

	"go.yaml.in/yaml/v3"
)

// A ruleFile is the contents of alerts.yml or rules.yml.
type ruleFile struct {
	Groups []ruleGroup
}

type ruleGroup struct {
	Name  string
	Rules []rule
}

type rule struct {
	Alert  string `yaml:",omitempty"`
	Record string `yaml:",omitempty"`
	Expr   string
	For    string `yaml:",omitempty"`

	Labels      map[string]string `yaml:",omitempty"`
	Annotations map[string]string `yaml:",omitempty"`
}

func rulesOf(t *testing.T, file string) []rule {
	t.Helper()
	var parsed ruleFile
	if err := yaml.Unmarshal([]byte(read(t, file)), &parsed); err != nil {
		t.Fatal(err)
	}
	var all []rule
	for _, g := range parsed.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) == 0 {
		t.Fatalf("%s has no rules", file)
	}
	return all
}

// TestRules checks the rules and runs their tests with promtool.
func TestRules(t *testing.T) {
	promtool := testenv.RequireProgram(t, "promtool")
	mustOutput(t, promtool, "check", "rules", "--lint=all", "--lint-fatal", "prometheus/alerts.yml", "prometheus/rules.yml")
	tests, err := filepath.Glob("prometheus/tests/*.yml")
	if err != nil || len(tests) == 0 {
		t.Fatalf("got tests %v, error %v", tests, err)
	}
	mustOutput(t, promtool, append([]string{"test", "rules"}, tests...)...)
}

// TestAlertsAreTested checks that the tests of each alert contain it inactive,
// firing and inactive again, and that each recording rule has a test.
func TestAlertsAreTested(t *testing.T) {
	type ruleTest struct {
		AlertRuleTest []struct {
			Alertname string `yaml:"alertname"`
			ExpAlerts []any  `yaml:"exp_alerts"`
		} `yaml:"alert_rule_test"`
		PromqlExprTest []struct {
			Expr       string
			ExpSamples []any `yaml:"exp_samples"`
		} `yaml:"promql_expr_test"`
	}
	seen := map[string]string{} // I: inactive, F: firing, in the order of evaluation times
	for _, file := range []string{"exporter.yml", "groups.yml", "rules.yml"} {
		var parsed struct{ Tests []ruleTest }
		if err := yaml.Unmarshal([]byte(read(t, "prometheus/tests/"+file)), &parsed); err != nil {
			t.Fatal(err)
		}
		for _, one := range parsed.Tests {
			for _, evaluation := range one.AlertRuleTest {
				seen[evaluation.Alertname] += map[bool]string{true: "F", false: "I"}[len(evaluation.ExpAlerts) > 0]
			}
			for _, expr := range one.PromqlExprTest {
				if len(expr.ExpSamples) > 0 {
					seen[expr.Expr] = "IFI"
				}
			}
		}
	}
	for _, r := range slices.Concat(rulesOf(t, "prometheus/alerts.yml"), rulesOf(t, "prometheus/rules.yml")) {
		if name := r.Alert + r.Record; !strings.Contains(seen[name], "IFI") {
			t.Errorf("%s: got states %q in its tests, want IFI: inactive, firing, inactive", name, seen[name])
		}
	}
}

// TestAlertConventions checks severities, annotations and documentation of alerts.
func TestAlertConventions(t *testing.T) {
	docs := read(t, "../docs/dashboards-alerts.md")
	for _, r := range rulesOf(t, "prometheus/alerts.yml") {
		if !slices.Contains([]string{"critical", "warning", "info"}, r.Labels["severity"]) {
			t.Errorf("%s got severity %q, want critical, warning or info", r.Alert, r.Labels["severity"])
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s has no summary or no description", r.Alert)
		}
		if !strings.Contains(docs, "`"+r.Alert+"`") {
			t.Errorf("docs/dashboards-alerts.md does not document %s", r.Alert)
		}
	}
}

var metricName = regexp.MustCompile(`\b(namedprocess_\w+|process_exporter_\w+)`)

// checkNames checks that docs/metrics.md contains all metrics of a text. An alert
// with a wrong metric name never fires.
func checkNames(t *testing.T, where, text string) {
	t.Helper()
	page := read(t, "../docs/metrics.md")
	for _, name := range metricName.FindAllString(text, -1) {
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("%s: no metric %s in docs/metrics.md", where, name)
		}
	}
}

var recorded = regexp.MustCompile(`\w+:\w+:\w+`)

func TestRuleNames(t *testing.T) {
	for _, file := range []string{"prometheus/alerts.yml", "prometheus/rules.yml"} {
		for _, r := range rulesOf(t, file) {
			checkNames(t, r.Alert+r.Record, recorded.ReplaceAllString(r.Expr, ""))
		}
	}
}

// TestScrapeConfigs checks the examples with promtool.
func TestScrapeConfigs(t *testing.T) {
	promtool := testenv.RequireProgram(t, "promtool")
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("prometheus")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"process-exporter.password", "ca.crt"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"scrape-static.yml", "scrape-file_sd.yml", "scrape-tls.yml"} {
		mustOutput(t, promtool, "check", "config", filepath.Join(dir, name))
	}
	mustOutput(t, promtool, "check", "config", "--agent", filepath.Join(dir, "agent.yml"))

	discovered := discover(t, promtool, filepath.Join(dir, "scrape-file_sd.yml"))
	if want := `"instance":"db1.example.org"`; !strings.Contains(discovered, want) || !strings.Contains(discovered, `"role":"database"`) {
		t.Errorf("got targets %s, want %s", discovered, want)
	}
}

// TestKubernetesScrapeConfig checks the relabeling with static targets, because
// Debian's promtool has no Kubernetes service discovery.
func TestKubernetesScrapeConfig(t *testing.T) {
	promtool := testenv.RequireProgram(t, "promtool")
	text := read(t, "prometheus/scrape-kubernetes.yml")
	text = regexp.MustCompile(`(?s)    kubernetes_sd_configs:.*?    relabel_configs:`).ReplaceAllLiteralString(text, `    static_configs:
      - targets: ['10.0.0.7:9256']
        labels: {__meta_kubernetes_pod_container_port_name: metrics, __meta_kubernetes_pod_node_name: node-7}
      - targets: ['10.0.0.8:9256']
        labels: {__meta_kubernetes_pod_container_port_name: other, __meta_kubernetes_pod_node_name: node-8}
    relabel_configs:`)
	text = strings.Replace(text, "rule_files: [rules.yml, alerts.yml]\n", "", 1)
	discovered := discover(t, promtool, write(t, "prometheus.yml", text))
	if !strings.Contains(discovered, `"instance":"node-7"`) || strings.Contains(discovered, `"instance":"node-8"`) {
		t.Errorf("got targets %s, want node-7 only", discovered)
	}
}

// discover returns the targets of a configuration, as JSON without spaces.
func discover(t *testing.T, promtool, config string) string {
	t.Helper()
	text := mustOutput(t, promtool, "check", "service-discovery", "--timeout=3s", config, "process-exporter")
	return strings.Join(strings.Fields(text), "")
}

var promqlCode = regexp.MustCompile("(?ms)^```promql\n(.*?)^```")

// TestDocumentedQueries checks with promtool that every PromQL block in the
// pages parses, and that it uses metrics that exist.
func TestDocumentedQueries(t *testing.T) {
	promtool := testenv.RequireProgram(t, "promtool")
	var file ruleFile
	pages := strings.Fields(mustOutput(t, "git", "-C", "..", "ls-files", "*.md"))
	for _, page := range pages {
		for i, match := range promqlCode.FindAllStringSubmatch(read(t, filepath.Join("..", page)), -1) {
			checkNames(t, page, match[1])
			name := fmt.Sprintf("%s:%d", strings.TrimSuffix(filepath.Base(page), ".md"), i)
			file.Groups = append(file.Groups, ruleGroup{Name: name, Rules: []rule{{Record: "documented:query", Expr: match[1]}}})
		}
	}
	if len(file.Groups) < 5 {
		t.Fatalf("got %d queries, want at least 5", len(file.Groups))
	}
	text, err := yaml.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "queries.yml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	mustOutput(t, promtool, "check", "rules", path)
}
