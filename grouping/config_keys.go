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
	typeExpect   = "mapping of min, max and listen"
	typePorts    = "list of ports"
	typeLabels   = "mapping of label to template"
	typeSwitches = "mapping of collector to true or false"
	typeNot      = "mapping of selectors"
	typeRules    = "list of rules"
)

// fileKeys are the keys of the file, ruleKeys those of a rule. Messages list them
// and the decoder reads them in this order. A rule compares its selectors in the
// order of selectorKeys, and the selectors under not last.
var (
	fileKeys = []ConfigKey{
		{"process_names", typeRules, "List of rules. The first rule that matches a process gives the group of the process."},
	}
	selectorKeys = []ConfigKey{
		{"comm", typeStrings, "Process names, which Linux truncates to 15 bytes."},
		{"exe", typeStrings, "First arguments (argv[0]). An entry without a slash matches the base name of argv[0]."},
		{"cmdline", typeRegexps, "All expressions must match the command line. Arguments are joined with one space."},
		{"user", typeStrings, "Effective users, by name or number."},
		{"exe_path", typeStrings, "Paths of the executable file, or shell patterns; * does not match a slash."},
		{"ancestor", typeStrings, "Names of ancestors. They are read each time the rules are applied to the process."},
		{"unit", typeStrings, "systemd units, or shell patterns such as getty@*.service or user@*.service/*."},
		{"container", typeStrings,
			"Container IDs or prefixes of IDs. * matches all containers except those inside a container or below user@UID.service, " +
				"*/* matches only these."},
		{"cgroup", typeRegexps, "Regular expressions, one of which must match a cgroup path."},
	}
	ruleKeys = append([]ConfigKey{
		{"name", typeTemplate, "Name of the group. Default: {{.ExeBase}}."},
	}, append(append([]ConfigKey(nil), selectorKeys...), []ConfigKey{
		{"not", typeNot, "Excludes processes from the rule if they match at least one of these entries."},
		{"ignore", typeBool, "Matching processes are in no group. Their children are in no group unless another rule matches them."},
		{"children", typeBool, "Whether descendants that match no rule join the group. Default: the flag --children."},
		{"collectors", typeSwitches, "Collectors to turn on or off for the rule. Default: the flags --collector.NAME."},
		{"threads", typeBool, "The same setting as {threads: VALUE} in collectors. Default: the flag --threads."},
		{"smaps", typeBool, "The same setting as {smaps: VALUE} in collectors. Default: the flag --gather-smaps."},
		{"expect", typeExpect, "Expected number of processes (min, max) and ports on which they listen. Requires a fixed name and fixed labels."},
		{"labels", typeLabels, "Additional labels of the group."},
		{"max_groups", typeNumber,
			"Maximum number of groups that the rule can create. Processes of further groups are added to the group _other."},
		{"top", typeNumber, "Exports series for the N processes with the highest CPU usage and the N with the most memory in each group."},
	}...)...)
	expectKeys = []ConfigKey{
		{"min", typeNumber, "Minimum number of processes. Default: 0."},
		{"max", typeNumber, "Maximum number of processes. Default: no maximum."},
		{"listen", typePorts, "Ports on which a process listens: 443 or tcp/443, udp/53. Requires the collector network."},
	}
)

// collectorKeys returns the keys of a mapping of collectors.
func collectorKeys() []ConfigKey {
	keys := make([]ConfigKey, len(CollectorTable))
	for i, c := range CollectorTable {
		keys[i] = ConfigKey{c.Name, typeBool, c.Help}
	}
	return keys
}

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
	"bound", "pid", "comm", "counter", "direction", "protocol", "port", "rule", "name", "source", "le", "quantile", "job", "instance",
}
