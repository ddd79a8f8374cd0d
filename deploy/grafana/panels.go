package grafana

import "strings"

// Selectors of the dashboard variables. Every selector in an expression begins
// with one of them.
const (
	onInstance = `job=~"$job",instance=~"$instance"`
	inGroup    = onInstance + `,groupname=~"$groupname"`
)

// promql expands {I} to the instance selector, {G} to the group selector and
// [R] to the rate interval.
func promql(expr string) string {
	return strings.NewReplacer(
		"{I}", "{"+onInstance+"}", "{I,", "{"+onInstance+",",
		"{G}", "{"+inGroup+"}", "{G,", "{"+inGroup+",",
		"[R]", "[$__rate_interval]",
	).Replace(expr)
}

var prometheus = &source{Type: "prometheus", UID: "${datasource}"}

// newDashboard returns a dashboard without panels.
func newDashboard(uid, title, description string) Dashboard {
	return Dashboard{
		UID: uid, Title: title, Description: description,
		Tags:          []string{"process-exporter"},
		SchemaVersion: 39, GraphTooltip: 1, Refresh: "1m",
		Time: timeRange{From: "now-1h", To: "now"},
		Templating: Templating{List: []Variable{
			{Name: "datasource", Label: "Data source", Type: "datasource", Query: "prometheus", Refresh: 1, Current: struct{}{}},
			labelVariable("job", "Job", `namedprocess_exporter_scrape_success`),
			labelVariable("instance", "Instance", `namedprocess_exporter_scrape_success{job=~"$job"}`),
			labelVariable("groupname", "Group", `namedprocess_namegroup_num_procs{`+onInstance+`}`),
		}},
		Links: []link{{Title: "Process exporter", Type: "dashboards", Tags: []string{"process-exporter"}, KeepTime: true, IncludeVars: true}},
	}
}

// labelVariable returns a variable with the values of a label.
func labelVariable(name, label, metric string) Variable {
	return Variable{
		Name: name, Label: label, Type: "query", Datasource: prometheus,
		Query: map[string]string{"query": "label_values(" + metric + ", " + name + ")", "refId": name},
		Multi: true, IncludeAll: true, AllValue: ".+", Refresh: 2, Sort: 1,
		Current: map[string]any{"text": "All", "value": "$__all"},
	}
}

// A query is an expression and the legend of its series.
type query struct{ expr, legend string }

// A panelSpec holds the properties of one panel that differ between panels.
type panelSpec struct {
	title, description, unit string
	width, height            int
	queries                  []query
}

// row adds the title of a row of panels.
func (d *Dashboard) row(title string) {
	open := false
	d.place(Panel{Type: "row", Title: title, Collapsed: &open}, 24, 1)
}

// place appends a panel to the right of the last one, or on the next line if the
// grid of 24 columns is full. All panels of a line have the same height.
func (d *Dashboard) place(p Panel, width, height int) {
	p.ID = len(d.Panels) + 1
	p.GridPos = GridPos{W: width, H: height}
	if n := len(d.Panels); n > 0 {
		last := d.Panels[n-1].GridPos
		p.GridPos.X, p.GridPos.Y = last.X+last.W, last.Y
		if p.GridPos.X+width > 24 {
			p.GridPos.X, p.GridPos.Y = 0, last.Y+last.H
		}
	}
	d.Panels = append(d.Panels, p)
}

func (d *Dashboard) panel(kind string, s panelSpec, defaults Defaults, options any) *Panel {
	defaults.Unit = s.unit
	p := Panel{
		Type: kind, Title: s.title, Description: s.description, Datasource: prometheus, Options: options,
		FieldConfig: &FieldSetup{Defaults: defaults, Overrides: []Override{}},
	}
	for i, q := range s.queries {
		p.Targets = append(p.Targets, Target{
			RefID: string(rune('A' + i)), Datasource: prometheus, Expr: q.expr, LegendFormat: q.legend,
			Instant: kind != "timeseries", Range: kind == "timeseries",
		})
	}
	d.place(p, s.width, s.height)
	return &d.Panels[len(d.Panels)-1]
}

// graph adds a panel of lines over time. The axis starts at 0.
func (d *Dashboard) graph(s panelSpec) { d.lines(s, nil) }

// stack adds a panel of stacked areas, for values that can be summed.
func (d *Dashboard) stack(s panelSpec) {
	d.lines(s, map[string]any{"stacking": map[string]string{"mode": "normal", "group": "A"}, "fillOpacity": 30})
}

func (d *Dashboard) lines(s panelSpec, custom map[string]any) {
	zero := 0.0
	all := map[string]any{"fillOpacity": 8, "lineWidth": 1, "showPoints": "never"}
	for k, v := range custom {
		all[k] = v
	}
	if s.width == 0 {
		s.width = 8
	}
	if s.height == 0 {
		s.height = 8
	}
	d.panel("timeseries", s, Defaults{Min: &zero, Custom: all}, map[string]any{
		"legend":  map[string]any{"displayMode": "list", "placement": "bottom", "showLegend": true},
		"tooltip": map[string]any{"mode": "multi", "sort": "desc"},
	})
}

// stat adds a panel with the last value. It is green below bad and red from bad on.
// A negative bad disables the colors.
func (d *Dashboard) stat(s panelSpec, bad float64) {
	s.width, s.height = 4, 4
	steps := []step{{Color: "text"}}
	if bad >= 0 {
		steps = []step{{Color: "green"}, {Color: "red", Value: &bad}}
	}
	d.panel("stat", s, Defaults{Thresholds: &thresholds{Mode: "absolute", Steps: steps}}, map[string]any{
		"colorMode": "value", "graphMode": "none", "textMode": "auto",
		"reduceOptions": map[string]any{"calcs": []string{"lastNotNull"}, "values": false},
	})
}

// A column is a column of a table: a query, its heading and its unit.
type column struct{ expr, heading, unit string }

// table adds a table with a line for each label set and a column for each query.
func (d *Dashboard) table(s panelSpec, columns ...column) {
	rename, exclude := map[string]string{}, map[string]bool{"Time": true, "job": true}
	var overrides []Override
	for i, c := range columns {
		s.queries = append(s.queries, query{expr: c.expr})
		value := "Value #" + string(rune('A'+i))
		rename[value] = c.heading
		overrides = append(overrides, Override{
			Matcher:    map[string]string{"id": "byName", "options": c.heading},
			Properties: []property{{ID: "unit", Value: c.unit}},
		})
	}
	p := d.panel("table", s, Defaults{Custom: map[string]any{"filterable": true}}, map[string]any{
		"showHeader": true, "sortBy": []any{map[string]any{"displayName": columns[0].heading, "desc": true}},
	})
	for i := range p.Targets {
		p.Targets[i].Format = "table"
	}
	p.FieldConfig.Overrides = overrides
	p.Transformations = []any{
		map[string]any{"id": "merge", "options": struct{}{}},
		map[string]any{"id": "organize", "options": map[string]any{"excludeByName": exclude, "renameByName": rename}},
	}
}
