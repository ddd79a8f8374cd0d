package grouping

// A ConfigKey describes one key of the configuration file. The decoder, the JSON schema
// and the tables of the documentation are all derived from the same lists of keys.
type ConfigKey struct {
	Name string
	Type string // type of the value: one of the type constants below
	Help string // one sentence
}

// Types of keys, as the documentation shows them.
const (
	typeString   = "string"
	typeStrings  = "list of strings"
	typeRegexps  = "list of regular expressions"
	typeTemplate = "template"
	typeBool     = "true or false"
	typeNumber   = "number"
	typeExpect   = "mapping of min and max"
	typeLabels   = "mapping of label to template"
	typeNot      = "mapping of selectors"
	typeRules    = "list of rules"
)

// fileKeys are the keys of the file, ruleKeys those of a rule. Messages list them
// and the decoder reads them in this order. A rule compares its selectors in the
// order of selectorKeys, and the selectors under not last.
var (
	fileKeys = []ConfigKey{
		{"process_names", typeRules, "Rules; the first rule that matches a process names its group."},
	}
	selectorKeys = []ConfigKey{
		{"comm", typeStrings, "Process names, which Linux truncates to 15 bytes."},
		{"exe", typeStrings, "First arguments (argv[0]); an entry without a slash is compared with the part after the last slash."},
		{"cmdline", typeRegexps, "Regular expressions that must all match the command line, its arguments joined by single spaces."},
		{"user", typeStrings, "Effective users, by name or number."},
		{"exe_path", typeStrings, "Paths of the executable file, or shell patterns; * does not match a slash."},
		{"ancestor", typeStrings, "Names of the parent or any other ancestor at the time when the process is matched."},
		{"unit", typeStrings, "systemd units, or shell patterns such as getty@*.service."},
		{"container", typeStrings, "Container IDs or their first digits; * matches any container."},
		{"cgroup", typeRegexps, "Regular expressions, one of which must match a cgroup path."},
	}
	ruleKeys = append([]ConfigKey{
		{"name", typeTemplate, "Name of the group. Default: {{.ExeBase}}."},
	}, append(append([]ConfigKey(nil), selectorKeys...), []ConfigKey{
		{"not", typeNot, "Selectors; a process that matches any of their entries does not match the rule."},
		{"ignore", typeBool, "Exclude the matching processes, and their children that match no rule, from all groups."},
		{"children", typeBool, "Whether descendants that match no rule join the group. Default: the flag --children."},
		{"threads", typeBool, "Whether to export metrics per thread name. Default: the flag --threads."},
		{"smaps", typeBool, "Whether to read proportional memory from smaps. Default: the flag --gather-smaps."},
		{"expect", typeExpect, "Expected number of processes in the group, at least one of min and max; requires a name without template fields."},
		{"labels", typeLabels, "Additional labels of the group."},
		{"max_groups", typeNumber, "Maximum number of groups that the rule can create; further processes count in _other."},
		{"top", typeNumber, "Number of processes to export individually: those with the most CPU, and those with the most memory."},
	}...)...)
	expectKeys = []ConfigKey{
		{"min", typeNumber, "Minimum number of processes. Default: 0."},
		{"max", typeNumber, "Maximum number of processes. Default: no maximum."},
	}
)

func keyNames(keys []ConfigKey) []string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.Name
	}
	return names
}

// ReservedLabels are the labels that metrics already have or that Prometheus sets.
// Rules cannot define them.
var ReservedLabels = []string{
	"groupname", "mode", "state", "memtype", "ctxswitchtype", "wchan", "threadname", "iomode", "file", "reason", "code",
	"bound", "pid", "comm", "counter", "rule", "name", "source", "le", "quantile", "job", "instance",
}
