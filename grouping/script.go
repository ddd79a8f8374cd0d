package grouping

import (
	"path"
	"slices"
	"strings"
)

// A grammar is how an interpreter reads its options. Those of one letter may
// stand together behind one dash, as far as to the first that has a value.
type grammar struct {
	code     string   // letters of options that say there is no script: the program follows, or comes from a pipe
	module   string   // letters of options with a module to run
	file     string   // letters of options with a script to run
	valued   string   // letters of options with a value, in the next argument if nothing is attached
	attached string   // letters of options whose value can only be attached, and may have letters
	words    []string // options of more letters with a value in the next argument
	codes    []string // the same, but saying that there is no script
	files    []string // the same, but with a script to run; it may also follow an equal sign
	plus     bool     // options may start with a plus

	suffixes []string // that are no part of a script's name
	generic  []string // names of scripts that say less than their directory does
}

var (
	pythonGrammar = grammar{code: "c", module: "m", valued: "WXQ", words: []string{"--check-hash-based-pycs"},
		suffixes: []string{".py", ".pyc", ".pyw", ".pyz"}}
	nodeGrammar = grammar{code: "ep", valued: "rC", codes: []string{"--eval", "--print"},
		words: []string{"--require", "--import", "--loader", "--experimental-loader", "--conditions", "--env-file",
			"--env-file-if-exists", "--icu-data-dir", "--inspect-port", "--openssl-config", "--redirect-warnings", "--title", "--watch-path"},
		suffixes: scriptSuffixes, generic: scriptGeneric}
	denoGrammar = grammar{valued: "c", words: []string{"--config", "--import-map", "--location", "--cert", "--seed"},
		suffixes: scriptSuffixes, generic: scriptGeneric}
	bunGrammar = grammar{code: "ep", valued: "r", codes: []string{"--eval", "--print"}, words: []string{"--preload", "--cwd", "--env-file"},
		suffixes: scriptSuffixes, generic: scriptGeneric}
	rubyGrammar = grammar{code: "e", valued: "IrCE", attached: "KTWxFi", words: []string{"--encoding", "--external-encoding", "--internal-encoding"},
		suffixes: []string{".rb"}}
	perlGrammar = grammar{code: "eE", valued: "I", attached: "MmxiCFDV", suffixes: []string{".pl"}}
	phpGrammar  = grammar{code: "rRBE", file: "fF", valued: "cdzStT", codes: []string{"--run"}, files: []string{"--file"},
		words: []string{"--php-ini", "--define", "--zend-extension", "--docroot", "--server"}, suffixes: []string{".php", ".phar"}}
	shellGrammar = grammar{code: "cs", valued: "oO", words: []string{"--rcfile", "--init-file"}, plus: true,
		suffixes: []string{".sh", ".bash", ".zsh", ".ksh"}}
	luaGrammar    = grammar{valued: "elj", suffixes: []string{".lua"}}
	rGrammar      = grammar{code: "e", file: "f", valued: "gd", codes: []string{"--args"}, files: []string{"--file"}, suffixes: []string{".R", ".r"}}
	elixirGrammar = grammar{plus: true, suffixes: []string{".exs", ".ex"}}
	monoGrammar   = grammar{words: []string{"--config"}, suffixes: assemblySuffixes}

	scriptSuffixes   = []string{".js", ".mjs", ".cjs", ".ts", ".mts", ".tsx", ".jsx"}
	scriptGeneric    = []string{"index", "server", "main", "app", "start", "www"}
	sourceDirs       = []string{"dist", "build", "lib", "src", "bin", "out"}
	assemblySuffixes = []string{".dll", ".exe"}
)

// An operand is what an interpreter was told to run.
type operand struct {
	text   string
	module bool     // found by its name rather than its path
	rest   []string // the arguments behind it, its own
}

// script returns the name of the script in the arguments of an interpreter.
func (g *grammar) script(args []string) string {
	return g.name(g.operand(args).text)
}

// operand returns the first argument that is neither an option nor the value of
// one.
func (g *grammar) operand(args []string) operand {
	for len(args) > 0 {
		arg, rest := args[0], args[1:]
		switch {
		case arg == "--":
			return firstOf(rest)
		case arg == "-":
			return operand{}
		case strings.HasPrefix(arg, "--"):
			found, left, done := g.word(arg, rest)
			if done {
				return found
			}
			args = left
		case strings.HasPrefix(arg, "-"), g.plus && strings.HasPrefix(arg, "+"):
			found, left, done := g.letters(arg[1:], rest)
			if done {
				return found
			}
			args = left
		default:
			return firstOf(args)
		}
	}
	return operand{}
}

func firstOf(args []string) operand {
	if len(args) == 0 {
		return operand{}
	}
	return operand{text: args[0], rest: args[1:]}
}

// word reads an option of more than one letter. It returns the arguments behind
// it, or that the search is done.
func (g *grammar) word(option string, args []string) (found operand, left []string, done bool) {
	name, value, given := strings.Cut(option, "=")
	switch {
	case slices.Contains(g.codes, name):
		return operand{}, nil, true
	case slices.Contains(g.files, name) && given:
		return operand{text: value, rest: args}, nil, true
	case slices.Contains(g.files, name):
		return firstOf(args), nil, true
	case slices.Contains(g.words, name) && !given:
		return operand{}, args[min(1, len(args)):], false
	}
	return operand{}, args, false
}

// letters reads options of one letter, as word does.
func (g *grammar) letters(cluster string, args []string) (found operand, left []string, done bool) {
	for i := range len(cluster) {
		letter, attached := cluster[i], cluster[i+1:]
		has := func(letters string) bool { return strings.IndexByte(letters, letter) >= 0 }
		switch {
		case has(g.code):
			return operand{}, nil, true
		case has(g.module), has(g.file):
			found = firstOf(args)
			if attached != "" {
				found = operand{text: attached, rest: args}
			}
			found.module = has(g.module)
			return found, nil, true
		case has(g.valued):
			if attached == "" {
				args = args[min(1, len(args)):]
			}
			return operand{}, args, false
		case has(g.attached):
			return operand{}, args, false
		}
	}
	return operand{}, args, false
}

// name returns the name of a script without directory and suffix. Where that is
// generic, it is the name of what the script belongs to: of the first directory
// above that is not there for sources or results, if the path has one.
func (g *grammar) name(script string) string {
	name := baseName(script, g.suffixes...)
	if !slices.Contains(g.generic, name) {
		return name
	}
	for dir := script; ; {
		dir, _ = cutLast(strings.TrimRight(dir, "/"))
		switch above := baseName(dir); {
		case above == "":
			return name
		case !slices.Contains(sourceDirs, above):
			return above
		}
	}
}

// baseName returns the last element of file without the first suffix that it
// has. It is empty where a path has no element that is a name.
func baseName(file string, suffixes ...string) string {
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
