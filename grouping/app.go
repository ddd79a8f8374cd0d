package grouping

import (
	"path"
	"slices"
	"strings"
)

// maxTitle bounds what is looked at of a process title, in bytes.
const maxTitle = 4096

// appOf returns what an interpreter runs: the script without its directory and
// extension, the jar likewise with the version that is in its name, the main
// class or module in full, the application of a server such as gunicorn. It is
// empty if the process is no interpreter, or runs what was typed or piped in.
// exe is the path of the executable, empty where it cannot be read.
//
// Options are understood as the interpreter does, so that the value of one is
// not taken for a script. Files are not read, and a relative path stays relative:
// what a process runs must not change with the state of a disk.
func appOf(comm, exe string, args []string) string {
	if len(args) == 0 {
		return ""
	}
	if app, ok := appOfTitle(args[0]); ok {
		return app
	}
	args = splitTitle(args)
	first := interpreterName(args[0])
	if first == "busybox" && len(args) > 1 { // a box of programs, of which the shell is one
		args = args[1:]
		first = interpreterName(args[0])
	}
	for _, name := range [...]string{first, interpreterName(strings.TrimSuffix(exe, " (deleted)")), interpreterName(comm)} {
		if app, ok := appOfInterpreter(name, args[1:]); ok {
			return app
		}
	}
	return ""
}

// splitTitle takes apart a command line that a program has written over its own
// as one text, such as "node /srv/shop/server.js".
func splitTitle(args []string) []string {
	title := args[0][:min(len(args[0]), maxTitle)]
	first, _, several := strings.Cut(title, " ")
	if !several || slices.ContainsFunc(args[1:], func(arg string) bool { return arg != "" }) || !isInterpreter(interpreterName(first)) {
		return args
	}
	return strings.Fields(title)
}

// interpreterName returns a program's name without directory and version, and
// without the dash of a login shell.
func interpreterName(program string) string {
	name := strings.TrimLeft(program[strings.LastIndexByte(program, '/')+1:], "-")
	return strings.TrimRight(name, "0123456789.")
}

func isInterpreter(name string) bool {
	_, ok := appOfInterpreter(name, nil)
	return ok
}

// appOfInterpreter returns what the interpreter of this name does with these
// arguments, and whether there is such an interpreter.
func appOfInterpreter(name string, args []string) (app string, ok bool) {
	switch name {
	case "java":
		return appOfJava(args), true
	case "python", "pypy":
		return appOfPython(args), true
	case "node", "nodejs":
		return nodeGrammar.script(args), true
	case "deno":
		return appOfSubcommand(&denoGrammar, args), true
	case "bun":
		return appOfSubcommand(&bunGrammar, args), true
	case "ruby", "jruby", "truffleruby":
		return appOfRuby(args), true
	case "perl":
		return perlGrammar.script(args), true
	case "php", "php-cgi":
		return phpGrammar.script(args), true
	case "sh", "bash", "dash", "ash", "zsh", "ksh", "mksh":
		return shellGrammar.script(args), true
	case "lua", "luajit":
		return luaGrammar.script(args), true
	case "Rscript", "R":
		return rGrammar.script(args), true
	case "dotnet":
		return appOfDotnet(args), true
	case "mono", "mono-sgen":
		return monoGrammar.script(args), true
	case "beam.smp", "beam":
		return appOfErlang(args), true
	}
	return appOfServer(name, args)
}

func appOfPython(args []string) string {
	found := pythonGrammar.operand(args)
	if found.module {
		if app, ok := appOfServer(found.text, found.rest); ok {
			return app
		}
		return found.text
	}
	script := found.text
	if path.Base(script) == "__main__.py" { // the directory is what was asked for
		script = path.Dir(script)
	}
	name := pythonGrammar.name(script)
	if app, ok := appOfServer(name, found.rest); ok {
		return app
	}
	return name
}

// appOfRuby returns the program that Bundler runs, rather than Bundler.
func appOfRuby(args []string) string {
	found := rubyGrammar.operand(args)
	name := rubyGrammar.name(found.text)
	if (name == "bundle" || name == "bundler") && len(found.rest) > 1 && found.rest[0] == "exec" {
		return rubyGrammar.name(found.rest[1])
	}
	return name
}

// appOfSubcommand looks behind the word that tells deno or bun what to do.
func appOfSubcommand(g *grammar, args []string) string {
	found := g.operand(args)
	switch found.text {
	case "run", "serve", "task", "test", "bench", "x":
		return g.script(found.rest)
	case "eval", "repl", "install", "fmt", "lint", "lsp", "compile", "cache", "build":
		return ""
	}
	return g.name(found.text)
}
