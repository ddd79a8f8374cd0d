package appname

import (
	"slices"
	"strings"
)

// javaValueOptions are the options of java with a value in the next argument.
var javaValueOptions = []string{
	"-cp", "-classpath", "--class-path", "-p", "--module-path", "--upgrade-module-path", "--add-modules", "--limit-modules",
	"--add-reads", "--add-exports", "--add-opens", "--patch-module", "--enable-native-access", "--source", "-d", "--describe-module",
}

// fromJava returns the jar without directory and extension, the main class in
// full, or the module if the command line does not name its class.
func fromJava(args []string) string {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		module, inModule := strings.CutPrefix(arg, "--module=")
		switch {
		case arg == "-m", arg == "--module":
			return mainClass(firstArg(args).text)
		case inModule:
			return mainClass(module)
		case slices.Contains(javaValueOptions, arg):
			args = args[min(1, len(args)):]
		case strings.HasPrefix(arg, "-"), strings.HasPrefix(arg, "@"): // the jar of -jar is the first argument that is no option
		case strings.HasSuffix(arg, ".jar"), strings.HasSuffix(arg, ".war"), strings.HasSuffix(arg, ".java"):
			return programName(arg, ".jar", ".war", ".java")
		default:
			return fileStem(arg)
		}
	}
	return ""
}

// mainClass returns CLASS for MODULE/CLASS, and MODULE for MODULE.
func mainClass(text string) string {
	if _, class, found := strings.Cut(text, "/"); found {
		return class
	}
	return text
}

// fromDotnet returns the assembly that dotnet runs, or the project that it builds
// and runs. It returns "" for other commands.
func fromDotnet(args []string) string {
	run := optionSyntax{valueOptions: []string{
		"--depsfile", "--runtimeconfig", "--additionalprobingpath", "--additional-deps", "--fx-version", "--roll-forward",
	}}
	found := run.operand(args)
	switch found.text {
	case "exec":
		found = run.operand(found.rest)
	case "run", "watch":
		return fileStem(optionValue(found.rest, "--project", "--project"), ".csproj", ".fsproj", ".vbproj")
	}
	if name := fileStem(found.text, assemblySuffixes...); name != fileStem(found.text) {
		return name
	}
	return ""
}

// fromErlang returns the name of the node without its host. Without a node name it
// returns the module that the node starts, or the script of Elixir.
func fromErlang(args []string) string {
	var start string
	for i, arg := range args {
		value := firstArg(args[i+1:]).text
		switch arg {
		case "-sname", "-name":
			name, _, _ := strings.Cut(value, "@")
			return name
		case "-s", "-run":
			if start == "" && value != "elixir" {
				start = value
			}
		case "-extra": // the arguments of the program follow
			if start == "" {
				start = elixirOptions.script(args[i+1:])
			}
			return start
		}
	}
	return start
}
