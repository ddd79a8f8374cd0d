package grouping

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/seed57308aee/process_exporter/grouping/nearest"
	"github.com/seed57308aee/process_exporter/platform"
)

// sampleCapture is the value of every capture of the sample process. It is long,
// because a template may rely on the minimum length that its expression requires.
var sampleCapture = strings.Repeat("0123456789abcdef", 4)

// check executes the template for a sample process that has every field. It returns a
// description of the problem, or "". A template fails only when it is executed, and
// then processes of different groups can share one. Templates that fail because a
// process lacks a value, such as index .Cgroups 0, pass this check.
func (t *nameTemplate) check(r *Rule) string {
	name, err := t.execute(sampleProcess(r))
	switch {
	case err != nil:
		return "fails: " + templateErrorText(err)
	case strings.Contains(name, "<no value>"):
		return "prints <no value>; define every name in .Matches as (?P<name>...) in cmdline"
	}
	return ""
}

// unknownField matches the error of package text/template about a field that does
// not exist.
var unknownField = regexp.MustCompile(`can't evaluate field (\w+) in type \*grouping\.templateData$`)

// templateErrorText describes the error of a template, with the field that is most
// likely meant by an unknown one.
func templateErrorText(err error) string {
	m := unknownField.FindStringSubmatch(err.Error())
	if m == nil {
		return err.Error()
	}
	known := templateFieldNames()
	if field, ok := nearest.Nearest(m[1], known); ok {
		return "no field ." + m[1] + ", did you mean ." + field + "?"
	}
	return "no field ." + m[1] + "; the fields are ." + strings.Join(known, ", .")
}

// templateFieldNames returns the names of the fields of templates, sorted.
func templateFieldNames() (names []string) {
	typ := reflect.TypeFor[*templateData]()
	for _, f := range reflect.VisibleFields(typ.Elem()) {
		if f.IsExported() {
			names = append(names, f.Name)
		}
	}
	for i := range typ.NumMethod() {
		names = append(names, typ.Method(i).Name)
	}
	slices.Sort(names)
	return names
}

// sampleProcess returns a process with every field that r can read.
func sampleProcess(r *Rule) *candidate {
	id := strings.Repeat("0123456789abcdef", 4)
	path := "/kubepods.slice/kubepods-podbd5f6a22_7b22_4e01_8d0e_5c1b1b0a0a01.slice/cri-containerd-" + id + ".scope"
	c := &candidate{id: &platform.Identity{
		ID:        platform.ID{PID: 4194304, Start: 100},
		Comm:      "sample",
		StartTime: time.Unix(1_700_000_000, 0).UTC(),
		EUID:      65534,
		Username:  "nobody",
		Cgroups:   []string{path, path},
		Ancestors: []string{"bash", "systemd"},
		Container: platform.ContainerNames{
			Pod: "pod", PodNamespace: "namespace", Container: "container", ComposeService: "service", ComposeProject: "project",
		},
	}}
	for _, sel := range r.selectors {
		switch sel := sel.(type) {
		case *listSelector:
			if sel.name == "comm" && len(sel.items) > 0 {
				c.id.Comm = sel.items[0]
			}
		case *regexpSelector:
			for _, x := range sel.expressions {
				names := x.GroupNames()
				c.capture(names, slices.Repeat([]string{sampleCapture}, len(names)))
			}
		}
	}
	c.id.Exe = "/usr/local/bin/" + c.id.Comm
	c.id.Args = []string{c.id.Exe, "--sample", sampleCapture}
	return c
}
