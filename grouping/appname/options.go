package appname

import (
	"path"
	"slices"
	"strings"
)

// An optionSyntax describes the options of an interpreter. Options of one letter
// can share one dash, up to the first one with a value.
type optionSyntax struct {
	codeLetters     string // options without a script: the program is their value, or comes from a pipe
	moduleLetters   string // options whose value is the module to run
	fileLetters     string // options whose value is the script to run
	valueLetters    string // options with a value, attached or in the next argument
	attachedLetters string // options whose value can only be attached

	valueOptions []string // long options with a value in the next argument
	codeOptions  []string // long options without a script
	fileOptions  []string // long options whose value is the script to run, after "=" or in the next argument
	plus         bool     // options can start with a plus

	suffixes []string // removed from the name of a script
}

var (
	pythonOptions = optionSyntax{codeLetters: "c", moduleLetters: "m", valueLetters: "WXQ", valueOptions: []string{"--check-hash-based-pycs"},
		suffixes: []string{".py", ".pyc", ".pyw", ".pyz"}}
	nodeOptions = optionSyntax{codeLetters: "ep", valueLetters: "rC", codeOptions: []string{"--eval", "--print"},
		valueOptions: []string{"--require", "--import", "--loader", "--experimental-loader", "--conditions", "--env-file",
			"--env-file-if-exists", "--icu-data-dir", "--inspect-port", "--openssl-config", "--redirect-warnings", "--title", "--watch-path"},
		suffixes: scriptSuffixes}
	denoOptions = optionSyntax{valueLetters: "c", valueOptions: []string{"--config", "--import-map", "--location", "--cert", "--seed"},
		suffixes: scriptSuffixes}
	bunOptions = optionSyntax{codeLetters: "ep", valueLetters: "r", codeOptions: []string{"--eval", "--print"},
		valueOptions: []string{"--preload", "--cwd", "--env-file"},
		suffixes:     scriptSuffixes}
	rubyOptions = optionSyntax{codeLetters: "e", valueLetters: "IrCE", attachedLetters: "KTWxFi",
		valueOptions: []string{"--encoding", "--external-encoding", "--internal-encoding"}, suffixes: []string{".rb"}}
	perlOptions = optionSyntax{codeLetters: "eE", valueLetters: "I", attachedLetters: "MmxiCFDV", suffixes: []string{".pl"}}
	phpOptions  = optionSyntax{codeLetters: "rRBE", fileLetters: "fF", valueLetters: "cdzStT",
		codeOptions: []string{"--run"}, fileOptions: []string{"--file"},
		valueOptions: []string{"--php-ini", "--define", "--zend-extension", "--docroot", "--server"}, suffixes: []string{".php", ".phar"}}
	shellOptions = optionSyntax{codeLetters: "cs", valueLetters: "oO", valueOptions: []string{"--rcfile", "--init-file"}, plus: true,
		suffixes: []string{".sh", ".bash", ".zsh", ".ksh"}}
	luaOptions = optionSyntax{valueLetters: "elj", suffixes: []string{".lua"}}
	rOptions   = optionSyntax{codeLetters: "e", fileLetters: "f", valueLetters: "gd",
		codeOptions: []string{"--args"}, fileOptions: []string{"--file"}, suffixes: []string{".R", ".r"}}
	elixirOptions = optionSyntax{plus: true, suffixes: []string{".exs", ".ex"}}
	monoOptions   = optionSyntax{valueOptions: []string{"--config"}, suffixes: assemblySuffixes}

	scriptSuffixes = []string{".js", ".mjs", ".cjs", ".ts", ".mts", ".tsx", ".jsx"}
	// The name of a generic program is that of its directory. Source directories are
	// skipped, and system directories name no application.
	genericNames      = []string{"index", "server", "main", "app", "start", "www", "run", "manage", "__main__"}
	sourceDirectories = []string{"dist", "build", "lib", "libs", "src", "bin", "sbin", "out", "target"}
	systemDirectories = []string{"usr", "local", "opt", "srv", "var", "etc", "home", "root", "tmp"}
	assemblySuffixes  = []string{".dll", ".exe"}
)

// An operand is the program that an interpreter runs.
type operand struct {
	text   string
	module bool     // text is the name of a module, not a path
	rest   []string // the arguments of the program
}

// script returns the name of the script in the arguments of an interpreter.
func (o *optionSyntax) script(args []string) string {
	return o.name(o.operand(args).text)
}

// operand returns the first argument that is neither an option nor the value of
// one.
func (o *optionSyntax) operand(args []string) operand {
	for len(args) > 0 {
		arg, rest := args[0], args[1:]
		switch {
		case arg == "--":
			return firstArg(rest)
		case arg == "-":
			return operand{}
		case strings.HasPrefix(arg, "--"):
			found, left, done := o.longOption(arg, rest)
			if done {
				return found
			}
			args = left
		case strings.HasPrefix(arg, "-"), o.plus && strings.HasPrefix(arg, "+"):
			found, left, done := o.shortOptions(arg[1:], rest)
			if done {
				return found
			}
			args = left
		default:
			return firstArg(args)
		}
	}
	return operand{}
}

func firstArg(args []string) operand {
	if len(args) == 0 {
		return operand{}
	}
	return operand{text: args[0], rest: args[1:]}
}

// longOption parses a long option. It returns the operand and true if the option
// ends the search, else the arguments after the option and its value.
func (o *optionSyntax) longOption(option string, args []string) (found operand, left []string, done bool) {
	name, value, given := strings.Cut(option, "=")
	switch {
	case slices.Contains(o.codeOptions, name):
		return operand{}, nil, true
	case slices.Contains(o.fileOptions, name) && given:
		return operand{text: value, rest: args}, nil, true
	case slices.Contains(o.fileOptions, name):
		return firstArg(args), nil, true
	case slices.Contains(o.valueOptions, name) && !given:
		return operand{}, args[min(1, len(args)):], false
	}
	return operand{}, args, false
}

// shortOptions parses options of one letter that share a dash. Its results are
// those of longOption.
func (o *optionSyntax) shortOptions(cluster string, args []string) (found operand, left []string, done bool) {
	for i := range len(cluster) {
		letter, attached := cluster[i], cluster[i+1:]
		has := func(letters string) bool { return strings.IndexByte(letters, letter) >= 0 }
		switch {
		case has(o.codeLetters):
			return operand{}, nil, true
		case has(o.moduleLetters), has(o.fileLetters):
			found = firstArg(args)
			if attached != "" {
				found = operand{text: attached, rest: args}
			}
			found.module = has(o.moduleLetters)
			return found, nil, true
		case has(o.valueLetters):
			if attached == "" {
				args = args[min(1, len(args)):]
			}
			return operand{}, args, false
		case has(o.attachedLetters):
			return operand{}, args, false
		}
	}
	return operand{}, args, false
}

// name returns the name of a script without directory and suffix.
func (o *optionSyntax) name(script string) string { return programName(script, o.suffixes...) }

// programName returns the name of a file without directory and suffix. For a generic name it
// returns the name of the nearest directory above that is no source directory, if the path
// has one.
func programName(script string, suffixes ...string) string {
	name := fileStem(script, suffixes...)
	if !slices.Contains(genericNames, name) {
		return name
	}
	for dir := script; ; {
		dir = strings.TrimRight(dir, "/")
		dir = dir[:max(strings.LastIndexByte(dir, '/'), 0)]
		switch above := fileStem(dir); {
		case above == "", slices.Contains(systemDirectories, above):
			return name
		case !slices.Contains(sourceDirectories, above):
			return above
		}
	}
}

// fileStem returns the last element of file without the first of suffixes that
// matches. It returns "" if the last element is no name.
func fileStem(file string, suffixes ...string) string {
	name := path.Base(strings.TrimRight(file, "/"))
	if name == "." || name == ".." {
		return ""
	}
	for _, suffix := range suffixes {
		if stem, found := strings.CutSuffix(name, suffix); found && stem != "" {
			return stem
		}
	}
	return name
}
