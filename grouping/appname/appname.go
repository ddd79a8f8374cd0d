// Package appname derives the name of an application from the command line of
// the interpreter or server that runs it: the jar of java, the module of python,
// the WSGI application of gunicorn.
//
// It parses options as each interpreter does, so that the value of an option is
// not mistaken for a script. It reads no files and does not resolve relative
// paths: the name of a process must not depend on the contents of a disk.
package appname

import (
	"slices"
	"strings"
)

// maxTitle limits the part of a process title that is parsed, in bytes.
const maxTitle = 4096

// Find returns the name of the application that a process runs:
//
//   - a script without directory and extension,
//   - a jar without directory and extension, including its version,
//   - the directory of a script or jar with a generic name, such as main.py or app.jar,
//   - a main class or module in full,
//   - the application of a server such as gunicorn.
//
// It returns "" if the process is neither an interpreter nor a server, or if its
// program comes from an option or a pipe. comm is the name of the process.
func Find(comm string, args []string) string {
	if len(args) == 0 {
		return ""
	}
	if app, ok := fromTitle(args[0]); ok {
		return app
	}
	args = splitTitle(args)
	first := interpreterName(args[0])
	if first == "busybox" && len(args) > 1 { // "busybox sh script" runs a shell
		args = args[1:]
		first = interpreterName(args[0])
	}
	for _, name := range [...]string{first, interpreterName(comm)} {
		if app, ok := fromInterpreter(name, args[1:]); ok {
			return app
		}
	}
	return ""
}

// splitTitle splits a command line that a program has replaced by one string,
// such as "node /srv/shop/server.js", into arguments.
func splitTitle(args []string) []string {
	title := args[0][:min(len(args[0]), maxTitle)]
	first, _, several := strings.Cut(title, " ")
	if !several || slices.ContainsFunc(args[1:], func(arg string) bool { return arg != "" }) || !isInterpreter(interpreterName(first)) {
		return args
	}
	return strings.Fields(title)
}

// interpreterName returns the name of a program without its directory, its
// version and the leading dash of a login shell.
func interpreterName(program string) string {
	name := strings.TrimLeft(program[strings.LastIndexByte(program, '/')+1:], "-")
	return strings.TrimRight(name, "0123456789.")
}

func isInterpreter(name string) bool {
	_, ok := fromInterpreter(name, nil)
	return ok
}

// fromInterpreter returns the application that the named interpreter runs with
// args. It reports false if no such interpreter is known.
func fromInterpreter(name string, args []string) (app string, ok bool) {
	switch name {
	case "java":
		return fromJava(args), true
	case "python", "pypy":
		return fromPython(args), true
	case "node", "nodejs":
		return nodeOptions.script(args), true
	case "deno":
		return fromSubcommand(&denoOptions, args), true
	case "bun":
		return fromSubcommand(&bunOptions, args), true
	case "ruby", "jruby", "truffleruby":
		return fromRuby(args), true
	case "perl":
		return perlOptions.script(args), true
	case "php", "php-cgi":
		return phpOptions.script(args), true
	case "sh", "bash", "dash", "ash", "zsh", "ksh", "mksh":
		return shellOptions.script(args), true
	case "lua", "luajit":
		return luaOptions.script(args), true
	case "Rscript", "R":
		return rOptions.script(args), true
	case "dotnet":
		return fromDotnet(args), true
	case "mono", "mono-sgen":
		return monoOptions.script(args), true
	case "beam.smp", "beam":
		return fromErlang(args), true
	}
	return fromServer(name, args)
}

func fromPython(args []string) string {
	found := pythonOptions.operand(args)
	if found.module {
		if app, ok := fromServer(found.text, found.rest); ok {
			return app
		}
		return found.text
	}
	name := pythonOptions.name(found.text)
	if name == "__main__" { // of an unknown directory
		return ""
	}
	if app, ok := fromServer(name, found.rest); ok {
		return app
	}
	return name
}

// fromRuby returns the program that Bundler runs instead of Bundler itself.
func fromRuby(args []string) string {
	found := rubyOptions.operand(args)
	name := rubyOptions.name(found.text)
	if (name == "bundle" || name == "bundler") && len(found.rest) > 1 && found.rest[0] == "exec" {
		return rubyOptions.name(found.rest[1])
	}
	return name
}

// fromSubcommand returns the script after a subcommand of deno or bun.
func fromSubcommand(o *optionSyntax, args []string) string {
	found := o.operand(args)
	switch found.text {
	case "run", "serve", "task", "test", "bench", "x":
		return o.script(found.rest)
	case "eval", "repl", "install", "fmt", "lint", "lsp", "compile", "cache", "build":
		return ""
	}
	return o.name(found.text)
}
