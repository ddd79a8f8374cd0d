package grouping

import (
	"slices"
	"strings"
)

// appOfTitle returns the application in a title that a server has written over
// its command line, and whether text is such a title. A title without one yields
// the name of the server: what else is in there changes as it works.
func appOfTitle(text string) (app string, ok bool) {
	text = strings.TrimRight(text[:min(len(text), maxTitle)], " ")
	program, rest, _ := strings.Cut(text, " ")
	switch program {
	case "gunicorn:", "puma:":
		return inBrackets(rest, strings.TrimSuffix(program, ":")), true
	case "puma":
		version := rest != "" && '0' <= rest[0] && rest[0] <= '9'
		return inBrackets(rest, program), version
	case "sidekiq":
		return appOfSidekiq(rest)
	case "unicorn", "unicorn_rails":
		return "unicorn", strings.HasPrefix(rest, "master") || strings.HasPrefix(rest, "worker")
	case "[celeryd:":
		return appOfCelery(rest), true
	case "php-fpm:":
		if pool, found := strings.CutPrefix(rest, "pool "); found {
			return pool, true
		}
		return "php-fpm", true
	case "uWSGI":
		return "uwsgi", true
	}
	return "", false
}

// inBrackets returns what the brackets at the end of text hold.
func inBrackets(text, otherwise string) string {
	i := strings.LastIndexByte(text, '[')
	app, closed := strings.CutSuffix(text[i+1:], "]")
	if i < 0 || !closed || app == "" {
		return otherwise
	}
	return app
}

// appOfSidekiq reads "6.5.1 shop [0 of 5 busy]", in which shop may be missing.
func appOfSidekiq(text string) (app string, ok bool) {
	i := strings.LastIndexByte(text, '[')
	if i < 0 {
		return "", false
	}
	words := strings.Fields(text[:i])
	if len(words) < 2 {
		return "sidekiq", true
	}
	return words[1], true
}

// appOfCelery reads "celery@host:MainProcess] -active- (celery -A shop worker)".
// Only the first process of a pool tells its command line. Of the others it is
// the name of the node, without the host.
func appOfCelery(text string) string {
	node, state, _ := strings.Cut(text, "]")
	if _, line, found := strings.Cut(state, "("); found {
		if app := optionValue(strings.Fields(strings.TrimSuffix(line, ")")), "-A", "--app"); app != "" {
			return app
		}
	}
	node, _, _ = strings.Cut(node, "@")
	return node
}

// appOfServer returns the application that a server was told to run, its own
// name if it was told none, and whether there is such a server.
func appOfServer(name string, args []string) (app string, ok bool) {
	switch name {
	case "gunicorn":
		app = optionValue(args, "-n", "--name") // as its title has it
		if app == "" {
			app = serverOperand(args, "-D", "--daemon", "-R", "--enable-stdio-inheritance", "--reload", "--preload", "--check-config",
				"--print-config", "--capture-output", "--no-sendfile", "--proxy-protocol", "--log-syslog", "--spew", "--initgroups",
				"--reuse-port", "--disable-redirect-access-to-syslog", "--suppress-ragged-eofs", "--do-handshake-on-connect")
		}
	case "uvicorn":
		app = serverOperand(args, "--reload", "--factory", "--use-colors", "--access-log", "--proxy-headers", "--server-header", "--date-header")
	case "hypercorn":
		app = serverOperand(args, "--debug", "--reload", "--daemon", "-d")
	case "daphne":
		app = serverOperand(args, "--proxy-headers", "--no-server-name")
	case "celery", "flask":
		app = optionValue(args, "-A", "--app")
	case "uwsgi", "uwsgi-core":
		app, name = appOfUWSGI(args), "uwsgi"
	default:
		return "", false
	}
	if app == "" {
		app = name
	}
	return app, true
}

// serverOperand returns the first argument that is neither an option nor the
// value of one. Nearly all options of these servers have a value; flags have not.
func serverOperand(args []string, flags ...string) string {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		switch {
		case !strings.HasPrefix(arg, "-"):
			return arg
		case strings.Contains(arg, "="), slices.Contains(flags, arg), strings.HasPrefix(arg, "--no-"):
		case len(arg) > 2 && arg[1] != '-': // the value is attached
		default:
			args = args[min(1, len(args)):]
		}
	}
	return ""
}

// optionValue returns the value of an option that has a letter and a word.
func optionValue(args []string, letter, word string) string {
	for i, arg := range args {
		name, value, given := strings.Cut(arg, "=")
		switch {
		case given && name == word:
			return value
		case arg == letter, arg == word:
			return firstOf(args[i+1:]).text
		case strings.HasPrefix(arg, letter) && !strings.HasPrefix(arg, "--"):
			return arg[len(letter):]
		}
	}
	return ""
}

// appOfUWSGI returns the module or file that uWSGI serves, or else the name of
// its configuration: the last one, for those of a distribution come before.
func appOfUWSGI(args []string) (app string) {
	if module := optionValue(args, "-w", "--module"); module != "" {
		return module
	}
	if file := firstOf(args).text; !strings.HasPrefix(file, "-") && baseName(file, uwsgiSuffixes...) != baseName(file) {
		app = baseName(file, uwsgiSuffixes...)
	}
	for i, arg := range args {
		name, value, given := strings.Cut(arg, "=")
		switch name {
		case "--wsgi-file", "--file", "--ini", "--yaml", "--xml", "--json":
			if !given {
				value = firstOf(args[i+1:]).text
			}
			app = baseName(value, uwsgiSuffixes...)
		}
	}
	return app
}

var uwsgiSuffixes = []string{".py", ".ini", ".yaml", ".yml", ".xml", ".json"}
