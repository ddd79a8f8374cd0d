package grouping

// A Key is one key of the configuration file. The decoder, the JSON schema and
// the tables of the documentation all read the same list, so that none can know
// of a key another does not.
type Key struct {
	Name string
	Type string // what its value is, as [keyTypes] has it
	Help string // one sentence
}

// The types of keys.
const (
	typeText     = "text"
	typeTexts    = "list of texts"
	typeRegexps  = "list of regular expressions"
	typeTemplate = "template"
	typeSwitch   = "true or false"
	typeNumber   = "number"
	typeExpect   = "mapping of min and max"
	typeLabels   = "mapping of label to template"
	typeNot      = "mapping of selectors"
	typeRules    = "list of rules"
)

// fileKeys are the keys of the file, ruleKeys those of a rule, in the order in
// which messages list them and the decoder reads them.
var (
	fileKeys = []Key{
		{"process_names", typeRules, "The rules; the first that wants a process names its group."},
	}
	selectorKeys = []Key{
		{"comm", typeTexts, "Names of processes, of which Linux keeps 15 bytes."},
		{"exe", typeTexts, "First words of command lines: with a slash all of it, without one what follows its last slash."},
		{"cmdline", typeRegexps, "Regular expressions that all match the command line, its arguments joined by single spaces."},
		{"user", typeTexts, "Effective users, by name or number."},
		{"exe_path", typeTexts, "Paths of the program's file, or shell patterns of paths, in which * stops at a slash."},
		{"ancestor", typeTexts, "Names of the parent, of the parent of that, and so on, when the process was looked at."},
		{"unit", typeTexts, "Units of systemd, or shell patterns of units, such as getty@*.service."},
		{"container", typeTexts, "First digits of container ids; * is any container."},
		{"cgroup", typeRegexps, "Regular expressions of which one matches the path of a control group."},
	}
	ruleKeys = append([]Key{
		{"name", typeTemplate, "Name of the group; {{.ExeBase}} without it."},
	}, append(append([]Key(nil), selectorKeys...), []Key{
		{"not", typeNot, "Selectors of which no entry may fit."},
		{"ignore", typeSwitch, "Whether what the rule wants is in no group, and its children with it."},
		{"children", typeSwitch, "Whether processes that no rule wants join the group of an ancestor that this rule wants; the flag --children without it."},
		{"threads", typeSwitch, "Whether the threads of these processes are told by name; the flag --threads without it."},
		{"smaps", typeSwitch, "Whether the proportional memory of these processes is read; the flag --gather-smaps without it."},
		{"expect", typeExpect, "How many processes the group should have; takes a name without fields."},
		{"labels", typeLabels, "Labels of the group beside its name."},
		{"max_groups", typeNumber, "How many groups the rule may make; what has no room is in _other."},
		{"top", typeNumber, "How many processes of a group, those with the highest CPU and memory, are told one by one."},
	}...)...)
	expectKeys = []Key{
		{"min", typeNumber, "Fewest processes that are fine; 1 without it, or 0 if there is a max below that."},
		{"max", typeNumber, "Most processes that are fine; any number without it."},
	}
)

func keyNames(keys []Key) []string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.Name
	}
	return names
}

// ReservedLabels are those that metrics have already, or that Prometheus sets.
var ReservedLabels = []string{
	"groupname", "mode", "state", "memtype", "ctxswitchtype", "wchan", "threadname", "iomode", "file", "reason", "code",
	"pid", "comm", "counter", "rule", "name", "source", "le", "quantile", "job", "instance",
}
