package config

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
)

// A flagKind is how a flag takes its value.
type flagKind int

const (
	takesValue flagKind = iota // in the same argument after "=", or in the next argument
	isSwitch                   // true without a value, otherwise a value after "="
	repeats                    // like takesValue, and may be given several times
)

// HelpFlag is the flag that prints the help of a command.
const HelpFlag = "--help"

// A flagArg is one flag in kingpin's spelling.
type flagArg struct{ name, text string }

// normalize rewrites a command line into the spelling of kingpin.
//
// Unit files, charts and playbooks of the predecessor use the spelling of Go's
// flag package: one or two dashes, the value after "=" or in the next argument,
// -name=false for switches, and the last of several flags counts. Kingpin
// accepts only two dashes, and --no-name. normalize accepts both. For -h, -help
// and --help it returns HelpFlag alone.
//
// An argument that is not a flag is an error. The flag package stops at such an
// argument and ignores the rest of the line, so that "-threads false
// -config.path f" runs without a configuration file.
func normalize(args []string, kinds map[string]flagKind) ([]string, error) {
	var given []flagArg
	for len(args) > 0 {
		if args[0] == "--" && len(args) == 1 {
			break
		}
		if isHelp(args[0]) {
			return []string{HelpFlag}, nil
		}
		arg, used, err := readFlag(args, kinds)
		if err != nil {
			return nil, err
		}
		given = append(given, arg)
		args = args[used:]
		if len(args) > 0 && !isFlag(args[0]) {
			return nil, unexpectedArg(args[0], arg, kinds)
		}
	}
	return lastOfEach(given, kinds), nil
}

func isFlag(arg string) bool { return len(arg) > 1 && arg[0] == '-' }

func isHelp(arg string) bool {
	name := strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-")
	return isFlag(arg) && (name == "h" || name == "help")
}

// A rawFlag is the text of a flag as the user wrote it.
type rawFlag struct {
	dashes, name, value string
	hasValue            bool // whether it contains "="
}

func parseRaw(arg string) rawFlag {
	f := rawFlag{dashes: "-"}
	if strings.HasPrefix(arg, "--") {
		f.dashes = "--"
	}
	f.name, f.value, f.hasValue = strings.Cut(arg[len(f.dashes):], "=")
	return f
}

// readFlag parses the flag at the start of args. It returns how many elements
// of args the flag uses.
func readFlag(args []string, kinds map[string]flagKind) (flagArg, int, error) {
	arg := args[0]
	if !isFlag(arg) || arg == "--" {
		return flagArg{}, 0, unexpectedArg(arg, flagArg{}, kinds)
	}
	f := parseRaw(arg)
	kind, known := kinds[f.name]
	switch {
	case !known:
		negated, err := f.readNegated(kinds)
		return negated, 1, err
	case kind == isSwitch:
		on, err := f.readSwitch()
		return on, 1, err
	case f.hasValue:
		return flagArg{f.name, "--" + f.name + "=" + f.value}, 1, nil
	case len(args) == 1:
		return flagArg{}, 0, fmt.Errorf("flag %s needs a value: use %s=VALUE", arg, arg)
	}
	return flagArg{f.name, "--" + f.name + "=" + args[1]}, 2, nil
}

// readSwitch parses the value of a switch as Go's flag package does.
func (f rawFlag) readSwitch() (flagArg, error) {
	on := true
	if f.hasValue {
		var err error
		if on, err = strconv.ParseBool(f.value); err != nil {
			flag := f.dashes + f.name
			return flagArg{}, fmt.Errorf("invalid value %q for %s: use %[2]s=true or %[2]s=false", f.value, flag)
		}
	}
	if !on {
		return flagArg{f.name, "--no-" + f.name}, nil
	}
	return flagArg{f.name, "--" + f.name}, nil
}

// readNegated parses kingpin's --no-name, which disables a switch. Any other
// name is an unknown flag.
func (f rawFlag) readNegated(kinds map[string]flagKind) (flagArg, error) {
	positive, negated := strings.CutPrefix(f.name, "no-")
	if kind, known := kinds[positive]; negated && known && kind == isSwitch {
		if f.hasValue {
			flag := f.dashes + positive
			return flagArg{}, fmt.Errorf("flag %s%s takes no value: use %s=true or %[3]s=false", f.dashes, f.name, flag)
		}
		return flagArg{positive, "--no-" + positive}, nil
	}
	if flag := suggestFlag(f.name, f.value, kinds); flag != "" {
		return flagArg{}, fmt.Errorf("unknown flag %s%s: did you mean %s%s?", f.dashes, f.name, f.dashes, flag)
	}
	return flagArg{}, fmt.Errorf("unknown flag %s%s: %s lists all flags", f.dashes, f.name, HelpFlag)
}

// suggestFlag returns the known flag that is most similar to name, "" for none.
// It prefers a switch if value is a boolean.
func suggestFlag(name, value string, kinds map[string]flagKind) string {
	if value == "true" || value == "false" {
		switches := maps.Clone(kinds)
		maps.DeleteFunc(switches, func(_ string, kind flagKind) bool { return kind != isSwitch })
		if flag := Suggest(name, switches); flag != "" {
			return flag
		}
	}
	return Suggest(name, kinds)
}

// unexpectedArg returns the error for an argument that is not a flag. The
// argument follows the flag prev, if prev has a name.
func unexpectedArg(arg string, prev flagArg, kinds map[string]flagKind) error {
	if prev.name == "" {
		return fmt.Errorf("unexpected argument %q: only flags are allowed here, %s lists them", arg, HelpFlag)
	}
	if _, err := strconv.ParseBool(arg); err == nil && kinds[prev.name] == isSwitch {
		return fmt.Errorf("unexpected argument %q after -%s: use -%s=%s", arg, prev.name, prev.name, arg)
	}
	return fmt.Errorf("unexpected argument %q after -%s: only flags are allowed here, %s lists them", arg, prev.name, HelpFlag)
}

// lastOfEach drops all but the last value of each flag that does not repeat:
// kingpin refuses a second one, Go's flag package takes the last. Unit files
// that append to the options of a packaged unit depend on it. An alias counts as the
// flag itself.
func lastOfEach(given []flagArg, kinds map[string]flagKind) []string {
	last := make(map[string]int)
	for i, arg := range given {
		last[canonicalFlag(arg.name)] = i
	}
	out := make([]string, 0, len(given))
	for i, arg := range given {
		if last[canonicalFlag(arg.name)] == i || kinds[arg.name] == repeats {
			out = append(out, arg.text)
		}
	}
	return out
}

// flagAliases are the flags of the predecessor that enable a collector, with the flag of
// the same meaning.
var flagAliases = map[string]string{
	"threads":      collectorPrefix + "threads",
	"gather-smaps": collectorPrefix + "smaps",
}

// canonicalFlag returns the name of the flag for which a flag is an alias, else its own.
func canonicalFlag(name string) string {
	if of := flagAliases[name]; of != "" {
		return of
	}
	return name
}
