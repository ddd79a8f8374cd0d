package grouping

import "testing"

// TestSuggestRules checks the rules for each kind of ungrouped process: .App for applications of
// interpreters, .Program where a runtime renamed the process, and .Comm otherwise.
func TestSuggestRules(t *testing.T) {
	const (
		app     = "  - name: \"{{.App | default .Program}}\"\n    exe: [java, python3]\n"
		program = "  - name: \"{{.Program}}\"\n    exe: [node]\n"
		comm    = "  - name: \"{{.Comm}}\"\n    comm: [redis-server]\n"
	)
	java := Ungrouped{Comm: "java", App: "shop", program: "java"}
	python := Ungrouped{Comm: "python3", App: "worker", program: "python3"}
	node := Ungrouped{Comm: "MainThread", program: "node", runtime: true}
	redis := Ungrouped{Comm: "redis-server", program: "redis-server"}
	tests := []struct {
		name string
		all  []Ungrouped
		want string
	}{
		{"none", nil, ""},
		{"applications", []Ungrouped{java, python, java}, app},
		{"application of a runtime", []Ungrouped{{Comm: "MainThread", App: "worker", program: "java", runtime: true}, python}, app},
		{"runtime", []Ungrouped{node}, program},
		{"all kinds", []Ungrouped{redis, node, java, python}, app + program + comm},
		{"kernel thread", []Ungrouped{{Comm: "kthreadd", KernelThread: true}}, ""},
		{"ignored", []Ungrouped{{Comm: "noise", IgnoredBy: new(Rule)}}, ""},
		{"application without a program", []Ungrouped{{Comm: "redis-server", App: "x"}}, comm},
		{"name with a control character", []Ungrouped{{Comm: "a\nb"}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := SuggestRules(tt.all)
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if _, err := Parse("c.yml", []byte("process_names:\n"+got)); err != nil {
				t.Errorf("got rules with the error %v", err)
			}
		})
	}
}
