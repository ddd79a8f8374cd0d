package grafana

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// files returns the dashboards by file name.
func files() map[string]Dashboard {
	return map[string]Dashboard{"overview.json": Overview(), "group.json": Group()}
}

// TestDashboards compares the files with the dashboards that the code generates.
func TestDashboards(t *testing.T) {
	for file, d := range files() {
		want, err := d.JSON()
		if err != nil {
			t.Fatal(err)
		}
		testenv.CheckGenerated(t, file, string(want))
	}
}

// TestVariables checks the variables for the data source and for the selection of
// hosts and groups.
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

// TestPanels checks the rules of Grafana's dashboard linter, and that panels do not
// overlap.
func TestPanels(t *testing.T) {
	for file, d := range files() {
		taken := map[[2]int]string{}
		titles := map[string]bool{}
		for _, p := range d.Panels {
			checkPlace(t, taken, p)
			if p.Type == "row" {
				continue
			}
			if p.Title == "" || titles[p.Title] && p.Type == "stat" || p.Description == "" ||
				p.FieldConfig.Defaults.Unit == "" || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
				t.Errorf("%s: panel %q: want a title, a description, a unit, the data source and a query", file, p.Title)
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
				t.Fatalf("panel %q overlaps %q or is outside of the grid", p.Title, other)
			}
			taken[[2]int{x, y}] = p.Title
		}
	}
}

var (
	metricName = regexp.MustCompile(`^(namedprocess_|process_|scrape_|up$)`)
	selector   = regexp.MustCompile(`(\w+)(\{[^}]*\})?`)
	bareRange  = regexp.MustCompile(`\b(rate|irate)\([^[]*\[([^\]]*)\]`)
	counter    = regexp.MustCompile(`(rate|increase)\((\w+_total|namedprocess_scrape_errors)\{`)
)

// checkExpr checks that selectors contain the variables, that rates use the
// interval that Grafana computes, and that counters are in a rate or increase.
func checkExpr(t *testing.T, where, expr string) {
	t.Helper()
	counters := 0
	for _, m := range selector.FindAllStringSubmatch(expr, -1) {
		name, labels := m[1], m[2]
		if !metricName.MatchString(name) {
			continue
		}
		if !strings.Contains(labels, onInstance) {
			t.Errorf("%s: %s%s has no job and instance", where, name, labels)
		}
		grouped := strings.HasPrefix(name, "namedprocess_namegroup_") && !strings.Contains(expr, "unmatched")
		if grouped && !strings.Contains(labels, "groupname=~") {
			t.Errorf("%s: %s%s has no groupname", where, name, labels)
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

// TestCheckExpr checks that checkExpr finds each kind of error.
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
			t.Errorf("%s: got no error for %s", name, expr)
		}
	}
}
