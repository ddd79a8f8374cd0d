package cli

import (
	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/internal/webui"
)

// explanationJSON is an explanation as JSON, with the keys of the other commands.
type explanationJSON struct {
	PID       int             `json:"pid"`
	Name      string          `json:"name"`
	StartTime webui.Timestamp `json:"start_time_seconds"`
	Args      []string        `json:"args"`
	Exe       string          `json:"exe,omitempty"`
	UID       uint32          `json:"uid"`
	User      string          `json:"user,omitempty"`
	Cgroups   []string        `json:"cgroups,omitempty"`

	Unit             string `json:"unit,omitempty"`
	Slice            string `json:"slice,omitempty"`
	ContainerID      string `json:"container_id,omitempty"`
	ContainerRuntime string `json:"container_runtime,omitempty"`
	ContainerName    string `json:"container,omitempty"`
	PodUID           string `json:"pod_uid,omitempty"`
	Pod              string `json:"pod,omitempty"`
	PodNamespace     string `json:"pod_namespace,omitempty"`
	ComposeService   string `json:"compose_service,omitempty"`
	ComposeProject   string `json:"compose_project,omitempty"`
	App              string `json:"app,omitempty"`

	Ancestors []ancestorJSON   `json:"ancestors"` // parent, grandparent and so on
	Rules     []ruleResultJSON `json:"rules"`     // all rules, in order

	Group         *string           `json:"group"` // null if the process is in no group
	Labels        map[string]string `json:"labels,omitempty"`
	Rule          *webui.Rule       `json:"rule,omitempty"` // rule that determined the result
	InheritedFrom *ancestorJSON     `json:"inherited_from,omitempty"`
	Ignored       bool              `json:"ignored"`
	OverLimit     bool              `json:"over_limit"` // in the group _other, because of a limit
	Network       *webui.Network    `json:"network,omitempty"`
}

type ancestorJSON struct {
	PID             int     `json:"pid"`
	Name            string  `json:"name"`
	Group           *string `json:"group"` // null if the process is in no group
	Ignored         bool    `json:"ignored"`
	AcceptsChildren bool    `json:"accepts_children"`
}

type ruleResultJSON struct {
	webui.Rule
	Matched   bool              `json:"matched"`
	Group     *string           `json:"group,omitempty"` // absent if the rule does not match, or ignores the process
	Captures  map[string]string `json:"captures,omitempty"`
	Selectors []selectorJSON    `json:"selectors"`
}

type selectorJSON struct {
	Key     string   `json:"key"`
	Entries []string `json:"entries"`
	Values  []string `json:"values"` // of the process, empty if absent or unreadable
	Matched bool     `json:"matched"`
	Hint    string   `json:"hint,omitempty"`
}

// toJSON returns explanations as JSON. labelNames are the names of the values of their labels.
func toJSON(all []explanation, labelNames []string) []explanationJSON {
	out := make([]explanationJSON, len(all))
	for i := range all {
		out[i] = all[i].toJSON(labelNames)
	}
	return out
}

func (e *explanation) toJSON(labelNames []string) explanationJSON {
	j := explanationJSON{
		PID: e.PID, Name: e.Comm, StartTime: webui.Timestamp{Time: e.StartTime}, Args: append([]string{}, e.Args...), Exe: e.Exe,
		UID: e.EUID, User: e.Username, Cgroups: e.Cgroups,
		Unit: e.Unit, Slice: e.Slice, ContainerID: e.ContainerID, ContainerRuntime: e.ContainerRuntime, ContainerName: e.Container.Container,
		PodUID: e.PodUID, Pod: e.Container.Pod, PodNamespace: e.Container.PodNamespace,
		ComposeService: e.Container.ComposeService, ComposeProject: e.Container.ComposeProject, App: e.App,
		Ancestors: make([]ancestorJSON, len(e.Lineage)), Rules: make([]ruleResultJSON, len(e.RuleResults)),
		Ignored: e.Rule != nil && e.Rule.Ignore, OverLimit: e.OverLimit, Network: e.Network,
	}
	if e.Grouped {
		j.Group = &e.Group
	}
	for i := range e.Lineage {
		j.Ancestors[i] = toAncestorJSON(&e.Lineage[i])
	}
	for i := range e.RuleResults {
		j.Rules[i] = toRuleResultJSON(&e.RuleResults[i])
	}
	if e.Rule != nil {
		rule := toRuleJSON(e.Rule)
		j.Rule = &rule
	}
	if e.InheritedFrom != nil {
		ancestor := toAncestorJSON(e.InheritedFrom)
		j.InheritedFrom = &ancestor
	}
	if len(e.Labels) > 0 {
		j.Labels = make(map[string]string, len(e.Labels))
		for i, value := range e.Labels {
			j.Labels[labelNames[i]] = value
		}
	}
	return j
}

func toAncestorJSON(a *grouping.Ancestor) ancestorJSON {
	j := ancestorJSON{PID: a.PID, Name: a.Comm, Ignored: a.Ignored, AcceptsChildren: a.AcceptsChildren}
	if a.Grouped {
		j.Group = &a.Group
	}
	return j
}

func toRuleJSON(r *grouping.Rule) webui.Rule {
	return webui.Rule{Position: r.Position, Name: r.Template, Line: r.Line}
}

func toRuleResultJSON(r *grouping.RuleResult) ruleResultJSON {
	j := ruleResultJSON{
		Rule: toRuleJSON(r.Rule), Matched: r.Matched, Captures: r.Captures, Selectors: make([]selectorJSON, len(r.Selectors)),
	}
	if r.Matched && !r.Rule.Ignore {
		j.Group = &r.Group
	}
	for i, s := range r.Selectors {
		j.Selectors[i] = selectorJSON{
			Key: s.Key, Entries: append([]string{}, s.Entries...), Values: append([]string{}, s.Values...), Matched: s.Matched, Hint: s.Hint,
		}
	}
	return j
}
