package grafana

import (
	"bytes"
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the dashboards")

// files are the dashboards by the files that they are kept in.
func files() map[string]Dashboard {
	return map[string]Dashboard{"overview.json": Overview(), "group.json": Group()}
}

// TestDashboards asks that the files are what the code makes.
func TestDashboards(t *testing.T) {
	for file, d := range files() {
		want, err := d.JSON()
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(file, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the code makes; run make generate", file)
		}
	}
}

// TestVariables holds what lets a dashboard be used with any data source, and
// for any choice of hosts.
func TestVariables(t *testing.T) {
	for file, d := range files() {
		if d.Editable || d.UID == "" || d.Title == "" {
			t.Errorf("%s: got editable %v, UID %q, title %q", file, d.Editable, d.UID, d.Title)
		}
		var names []string
		for _, v := range d.Templating.List {
			names = append(names, v.Name)
			if v.Type == "query" && (v.Datasource.UID != "${datasource}" || !v.Multi || v.AllValue != ".+" || v.Refresh != 2 || v.Label == "") {
				t.Errorf("%s: variable %s: %+v", file, v.Name, v)
			}
		}
		if want := []string{"datasource", "job", "instance", "groupname"}; !slices.Equal(names, want) {
			t.Errorf("%s: got variables %v, want %v", file, names, want)
		}
	}
}

// TestPanels holds the rules of Grafana's linter for dashboards, and that
// panels do not lie on top of each other.
func TestPanels(t *testing.T) {
	for file, d := range files() {
		taken := map[[2]int]string{}
		titles := map[string]bool{}
		for _, p := range d.Panels {
			checkPlace(t, taken, p)
			if p.Type == "row" {
				continue
			}
			if p.Title == "" || titles[p.Title] && p.Type == "stat" || p.Description == "" || p.FieldConfig.Defaults.Unit == "" || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
				t.Errorf("%s: panel %q: lacks a title, a description, a unit, the data source or a query", file, p.Title)
			}
			titles[p.Title] = true
			for _, target := range p.Targets {
				checkExpr(t, file+": "+p.Title, target.Expr)
				if target.Datasource.UID != "${datasource}" {
					t.Errorf("%s: %s: got data source %v", file, p.Title, target.Datasource)
				}
			}
		}
	}
}

func checkPlace(t *testing.T, taken map[[2]int]string, p Panel) {
	t.Helper()
	for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
		for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
			if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
				t.Fatalf("panel %q lies on %q, or outside", p.Title, other)
			}
			taken[[2]int{x, y}] = p.Title
		}
	}
}

var (
	selector  = regexp.MustCompile(`(\w+)(\{[^}]*\})?`)
	bareRange = regexp.MustCompile(`\b(rate|irate)\([^[]*\[([^\]]*)\]`)
	counter   = regexp.MustCompile(`(rate|increase)\((\w+_total|namedprocess_scrape_errors)\{`)
)

// checkExpr asks of each selector for the variables, of each rate for the
// interval that Grafana computes, and of each counter for a rate.
func checkExpr(t *testing.T, where, expr string) {
	t.Helper()
	counters := 0
	for _, m := range selector.FindAllStringSubmatch(expr, -1) {
		name, labels := m[1], m[2]
		metric := strings.HasPrefix(name, "namedprocess_") || strings.HasPrefix(name, "process_") || strings.HasPrefix(name, "scrape_") || name == "up"
		if !metric {
			continue
		}
		if !strings.Contains(labels, onInstance) {
			t.Errorf("%s: %s%s lacks job and instance", where, name, labels)
		}
		if strings.HasPrefix(name, "namedprocess_namegroup_") && !strings.Contains(labels, "groupname=~") && !strings.Contains(expr, "unmatched") {
			t.Errorf("%s: %s%s lacks the group", where, name, labels)
		}
		if strings.HasSuffix(name, "_total") || name == "namedprocess_scrape_errors" {
			counters++
		}
	}
	if rates := len(counter.FindAllString(expr, -1)); rates != counters {
		t.Errorf("%s: %d of %d counters are in a rate or an increase: %s", where, rates, counters, expr)
	}
	for _, m := range bareRange.FindAllStringSubmatch(expr, -1) {
		if m[2] != "$__rate_interval" {
			t.Errorf("%s: got a rate over %s, want $__rate_interval", where, m[2])
		}
	}
}

// TestCheckExpr shows that the rules find what they are for.
func TestCheckExpr(t *testing.T) {
	for name, expr := range map[string]string{
		"no instance":     `up{job=~"$job"}`,
		"no group":        promql(`namedprocess_namegroup_num_procs{I}`),
		"counter":         promql(`namedprocess_namegroup_starts_total{G}`),
		"range of a rate": promql(`rate(namedprocess_namegroup_starts_total{G}[5m])`),
	} {
		found := &testing.T{}
		checkExpr(found, name, expr)
		if !found.Failed() {
			t.Errorf("%s: found nothing wrong with %s", name, expr)
		}
	}
}
