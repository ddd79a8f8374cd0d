package deploy_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// TestMixin renders the mixin with jsonnet and checks the rules with promtool.
func TestMixin(t *testing.T) {
	jsonnet := testenv.RequireProgram(t, "jsonnet")
	promtool := testenv.RequireProgram(t, "promtool")
	render := func(field, with string) string {
		return mustOutput(t, jsonnet, "-e", `((import "grafana/mixin/mixin.libsonnet") + `+with+`).`+field)
	}
	var dashboards map[string]struct{ Title string }
	if err := json.Unmarshal([]byte(render("grafanaDashboards", "{}")), &dashboards); err != nil {
		t.Fatal(err)
	}
	if len(dashboards) != 2 || dashboards["process-exporter-group.json"].Title == "" {
		t.Errorf("got dashboards %v, want two", dashboards)
	}
	mine := render("prometheusAlerts", `{ _config+:: { processExporterSelector: 'job="mine"' } }`)
	if !strings.Contains(mine, `up{job=\"mine\"} == 0`) || strings.Contains(mine, "process[-_]exporter") {
		t.Errorf("got alerts %s, want the selector of the configuration", mine)
	}
	for name, rules := range map[string]string{"alerts.json": mine, "rules.json": render("prometheusRules", "{}")} {
		mustOutput(t, promtool, "check", "rules", "--lint=all", "--lint-fatal", write(t, name, rules))
	}
}
