package grouping

import (
	"slices"
	"strings"
)

// javaValued are the options of java with a value in the next argument.
var javaValued = []string{
	"-cp", "-classpath", "--class-path", "-p", "--module-path", "--upgrade-module-path", "--add-modules", "--limit-modules",
	"--add-reads", "--add-exports", "--add-opens", "--patch-module", "--enable-native-access", "--source", "-d", "--describe-module",
}

// appOfJava returns the jar without directory and extension, or the main class
// in full, or the module if the command line leaves its class open.
func appOfJava(args []string) string {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		module, inModule := strings.CutPrefix(arg, "--module=")
		switch {
		case arg == "-m", arg == "--module":
			return mainOfModule(firstOf(args).text)
		case inModule:
			return mainOfModule(module)
		case slices.Contains(javaValued, arg):
			args = args[min(1, len(args)):]
		case strings.HasPrefix(arg, "-"), strings.HasPrefix(arg, "@"): // of -jar, the jar is the first that is no option
		case strings.HasSuffix(arg, ".jar"), strings.HasSuffix(arg, ".war"), strings.HasSuffix(arg, ".java"):
			return baseName(arg, ".jar", ".war", ".java")
		default:
			return baseName(arg)
		}
	}
	return ""
}

// mainOfModule reads MODULE/CLASS or MODULE.
func mainOfModule(text string) string {
	if _, class, found := strings.Cut(text, "/"); found {
		return class
	}
	return text
}

// appOfDotnet returns the assembly that dotnet runs, or the project that it
// builds and runs. Of other commands there is nothing to tell.
func appOfDotnet(args []string) string {
	run := grammar{words: []string{"--depsfile", "--runtimeconfig", "--additionalprobingpath", "--additional-deps", "--fx-version", "--roll-forward"}}
	found := run.operand(args)
	switch found.text {
	case "exec":
		found = run.operand(found.rest)
	case "run", "watch":
		return baseName(optionValue(found.rest, "--project", "--project"), ".csproj", ".fsproj", ".vbproj")
	}
	if name := baseName(found.text, assemblySuffixes...); name != baseName(found.text) {
		return name
	}
	return ""
}

// appOfErlang returns the name of the node without its host. A node without
// name is known by the module it starts with, and Elixir by its script.
func appOfErlang(args []string) string {
	var start string
	for i, arg := range args {
		value := firstOf(args[i+1:]).text
		switch arg {
		case "-sname", "-name":
			name, _, _ := strings.Cut(value, "@")
			return name
		case "-s", "-run":
			if start == "" && value != "elixir" {
				start = value
			}
		case "-extra": // what follows is for the program
			if start == "" {
				start = elixirGrammar.script(args[i+1:])
			}
			return start
		}
	}
	return start
}
