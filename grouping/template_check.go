package grouping

import (
	"slices"
	"strings"
	"time"

	"github.com/seed57308aee/process_exporter/platform"
)

// sampleCapture is the value of every capture of the sample process. It is long,
// because a template may rely on the minimum length that its expression requires.
var sampleCapture = strings.Repeat("0123456789abcdef", 4)

// check executes the template for a sample process that has every field. It returns a
// description of the problem, or "". A template fails only when it is executed, and
// then all processes of the rule share one group. Templates that fail because a
// process lacks a value, such as index .Cgroups 0, pass this check.
func (t *nameTemplate) check(r *Rule) string {
	name, err := t.execute(sampleProcess(r))
	switch {
	case err != nil:
		return "fails: " + err.Error()
	case strings.Contains(name, "<no value>"):
		return "prints <no value>; define every name in .Matches as (?P<name>...) in cmdline"
	}
	return ""
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
