// Package grafana generates the JSON files of the dashboards in this directory.
//
// Go code avoids repeating the properties that all panels share, such as the
// data source and the selectors of the variables. A test compares the JSON files
// with the output of this package. To regenerate them, run
//
//	go test ./deploy/grafana -run TestDashboards -update
package grafana

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// A Dashboard is the subset of the JSON model of Grafana that the dashboards use.
// Field names are those of Grafana.
type Dashboard struct {
	UID           string     `json:"uid"`
	Title         string     `json:"title"`
	Description   string     `json:"description"`
	Tags          []string   `json:"tags"`
	Editable      bool       `json:"editable"`
	SchemaVersion int        `json:"schemaVersion"`
	GraphTooltip  int        `json:"graphTooltip"` // 1: shared crosshair in all panels
	Refresh       string     `json:"refresh"`
	Time          timeRange  `json:"time"`
	Templating    Templating `json:"templating"`
	Links         []link     `json:"links"`
	Panels        []Panel    `json:"panels"`
}

type timeRange struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Templating holds the variables of a dashboard.
type Templating struct {
	List []Variable `json:"list"`
}

// A Variable is a drop-down list at the top of a dashboard.
type Variable struct {
	Name       string  `json:"name"`
	Label      string  `json:"label"`
	Type       string  `json:"type"`
	Query      any     `json:"query"`
	Datasource *source `json:"datasource,omitempty"`
	Multi      bool    `json:"multi"`
	IncludeAll bool    `json:"includeAll"`
	AllValue   string  `json:"allValue,omitempty"`
	Refresh    int     `json:"refresh"` // 1: on load; 2: when the time range changes
	Sort       int     `json:"sort"`
	Current    any     `json:"current"`
}

type source struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

type link struct {
	Title       string   `json:"title"`
	Type        string   `json:"type"`
	Tags        []string `json:"tags"`
	KeepTime    bool     `json:"keepTime"`
	IncludeVars bool     `json:"includeVars"`
}

// A Panel is a graph, a single value, a table, or the title of a row of panels.
type Panel struct {
	ID              int         `json:"id"`
	Type            string      `json:"type"`
	Title           string      `json:"title"`
	Description     string      `json:"description,omitempty"`
	Datasource      *source     `json:"datasource,omitempty"`
	GridPos         GridPos     `json:"gridPos"`
	Collapsed       *bool       `json:"collapsed,omitempty"`
	Targets         []Target    `json:"targets,omitempty"`
	FieldConfig     *FieldSetup `json:"fieldConfig,omitempty"`
	Options         any         `json:"options,omitempty"`
	Transformations []any       `json:"transformations,omitempty"`
}

// GridPos is a position and a size on a grid of 24 columns.
type GridPos struct {
	H int `json:"h"`
	W int `json:"w"`
	X int `json:"x"`
	Y int `json:"y"`
}

// A Target is a query of a panel.
type Target struct {
	RefID        string  `json:"refId"`
	Datasource   *source `json:"datasource"`
	Expr         string  `json:"expr"`
	LegendFormat string  `json:"legendFormat,omitempty"`
	Instant      bool    `json:"instant"`
	Range        bool    `json:"range"`
	Format       string  `json:"format,omitempty"`
}

// FieldSetup holds the display options of values.
type FieldSetup struct {
	Defaults  Defaults   `json:"defaults"`
	Overrides []Override `json:"overrides"`
}

// Defaults holds the display options of all fields of a panel.
type Defaults struct {
	Unit       string         `json:"unit"`
	Min        *float64       `json:"min,omitempty"`
	Max        *float64       `json:"max,omitempty"`
	Custom     map[string]any `json:"custom,omitempty"`
	Thresholds *thresholds    `json:"thresholds,omitempty"`
}

// An Override holds the display options of the fields that Matcher selects.
type Override struct {
	Matcher    map[string]string `json:"matcher"`
	Properties []property        `json:"properties"`
}

type property struct {
	ID    string `json:"id"`
	Value any    `json:"value"`
}

type thresholds struct {
	Mode  string `json:"mode"`
	Steps []step `json:"steps"`
}

type step struct {
	Color string   `json:"color"`
	Value *float64 `json:"value"`
}

// JSON returns the contents of the file to import into Grafana.
func (d Dashboard) JSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // expressions contain < and >
	e.SetIndent("", "  ")
	if err := e.Encode(d); err != nil {
		return nil, fmt.Errorf("grafana: dashboard %s: %w", d.UID, err)
	}
	return b.Bytes(), nil
}
