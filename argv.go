package main

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
)

// A flagKind says how a flag takes its value.
type flagKind int

const (
	takesValue flagKind = iota // in the same argument after "=", or in the next
	isSwitch                   // true when named; a value only after "="
	repeats                    // like takesValue, and may be given several times
)

// helpFlag is what canonical returns last for -h, -help and their likes.
const helpFlag = "--help"

// A flagArg is one flag of a command line in kingpin's spelling.
type flagArg struct{ name, text string }

// canonical rewrites a command line into the spelling that kingpin knows.
//
// Unit files, charts and playbooks of the last ten years use the spelling of
// Go's flag package: one dash or two, the value after "=" or in the next
// argument, -name=false for switches, and the last of several counts. Kingpin
// knows two dashes only and --no-name. Both work here, each with its meaning.
//
// An argument that is no flag is an error: the flag package stops there and
// drops the rest of the line, so that -threads false -config.path f runs
// without a configuration and nobody notices.
func canonical(args []string, kinds map[string]flagKind) ([]string, error) {
	var given []flagArg
	for len(args) > 0 {
		if args[0] == "--" && len(args) == 1 {
			break
		}
		if isHelp(args[0]) {
			return []string{helpFlag}, nil
		}
		arg, used, err := readFlag(args, kinds)
		if err != nil {
			return nil, err
		}
		given = append(given, arg)
		args = args[used:]
		if len(args) > 0 && !isFlag(args[0]) {
			return nil, unexpected(args[0], arg, kinds)
		}
	}
	return lastOfEach(given, kinds), nil
}

func isFlag(arg string) bool { return len(arg) > 1 && arg[0] == '-' }

func isHelp(arg string) bool {
	name := strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-")
	return isFlag(arg) && (name == "h" || name == "help")
}

// readFlag reads the flag that args begin with and says how many of args it
// takes.
func readFlag(args []string, kinds map[string]flagKind) (flagArg, int, error) {
	arg := args[0]
	if !isFlag(arg) || arg == "--" {
		return flagArg{}, 0, unexpected(arg, flagArg{}, kinds)
	}
	dashes := "-"
	if strings.HasPrefix(arg, "--") {
		dashes = "--"
	}
	name, value, hasValue := strings.Cut(arg[len(dashes):], "=")
	kind, known := kinds[name]
	switch {
	case !known:
		return readNegated(dashes, name, value, hasValue, kinds)
	case kind == isSwitch:
		f, err := readSwitch(dashes, name, value, hasValue)
		return f, 1, err
	case hasValue:
		return flagArg{name, "--" + name + "=" + value}, 1, nil
	case len(args) == 1:
		return flagArg{}, 0, fmt.Errorf("flag %s needs a value: write %s=VALUE", arg, arg)
	}
	return flagArg{name, "--" + name + "=" + args[1]}, 2, nil
}

// readSwitch reads the value of a switch as Go's flag package does.
func readSwitch(dashes, name, value string, hasValue bool) (flagArg, error) {
	on := true
	if hasValue {
		var err error
		if on, err = strconv.ParseBool(value); err != nil {
			return flagArg{}, fmt.Errorf("invalid value %q for %s%s: write %[2]s%[3]s=true or %[2]s%[3]s=false", value, dashes, name)
		}
	}
	if !on {
		return flagArg{name, "--no-" + name}, nil
	}
	return flagArg{name, "--" + name}, nil
}

// readNegated reads kingpin's --no-name, which turns a switch off.
func readNegated(dashes, name, value string, hasValue bool, kinds map[string]flagKind) (flagArg, int, error) {
	positive, negated := strings.CutPrefix(name, "no-")
	if kind, known := kinds[positive]; negated && known && kind == isSwitch {
		if hasValue {
			return flagArg{}, 0, fmt.Errorf("flag %s%s takes no value: write %s%s=true or %[3]s%[4]s=false", dashes, name, dashes, positive)
		}
		return flagArg{positive, "--no-" + positive}, 1, nil
	}
	if near := meant(name, value, kinds); near != "" {
		return flagArg{}, 0, fmt.Errorf("unknown flag %s%s: did you mean %s%s?", dashes, name, dashes, near)
	}
	return flagArg{}, 0, fmt.Errorf("unknown flag %s%s: %s lists all flags", dashes, name, helpFlag)
}

// meant returns the flag that a user most likely meant by a name that none
// has: a switch, if its value is that of one.
func meant(name, value string, kinds map[string]flagKind) string {
	if value == "true" || value == "false" {
		switches := maps.Clone(kinds)
		maps.DeleteFunc(switches, func(_ string, kind flagKind) bool { return kind != isSwitch })
		if near := nearest(name, switches); near != "" {
			return near
		}
	}
	return nearest(name, kinds)
}

// unexpected returns the error for an argument that is no flag and stands
// behind the flag prev, if any.
func unexpected(arg string, prev flagArg, kinds map[string]flagKind) error {
	if prev.name == "" {
		return fmt.Errorf("unexpected argument %q: only flags are known, %s lists them", arg, helpFlag)
	}
	if _, err := strconv.ParseBool(arg); err == nil && kinds[prev.name] == isSwitch {
		return fmt.Errorf("unexpected argument %q after -%s: write -%s=%s", arg, prev.name, prev.name, arg)
	}
	return fmt.Errorf("unexpected argument %q after -%s: only flags are known, %s lists them", arg, prev.name, helpFlag)
}

// lastOfEach drops all but the last mention of each flag that does not repeat,
// since kingpin refuses a second one and Go's flag package takes the last. Unit
// files that append to the options of a packaged one depend on it.
func lastOfEach(given []flagArg, kinds map[string]flagKind) []string {
	last := make(map[string]int)
	for i, arg := range given {
		last[arg.name] = i
	}
	out := make([]string, 0, len(given))
	for i, arg := range given {
		if last[arg.name] == i || kinds[arg.name] == repeats {
			out = append(out, arg.text)
		}
	}
	return out
}
