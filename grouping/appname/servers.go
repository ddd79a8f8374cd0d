package appname

import (
	"slices"
	"strings"
)

// fromTitle returns the application in a title that a server has written over its
// command line. It returns the name of the server if the title names no
// application, because the rest of a title changes while the server runs. It
// reports false if text is no such title.
func fromTitle(text string) (app string, ok bool) {
	text = strings.TrimRight(text[:min(len(text), maxTitle)], " ")
	program, rest, _ := strings.Cut(text, " ")
	switch program {
	case "gunicorn:", "puma:":
		return lastBracketed(rest, strings.TrimSuffix(program, ":")), true
	case "puma":
		version := rest != "" && '0' <= rest[0] && rest[0] <= '9'
		return lastBracketed(rest, program), version
	case "sidekiq":
		return fromSidekiqTitle(rest)
	case "unicorn", "unicorn_rails":
		return "unicorn", strings.HasPrefix(rest, "master") || strings.HasPrefix(rest, "worker")
	case "[celeryd:":
		return fromCeleryTitle(rest), true
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

// lastBracketed returns the text in the brackets at the end of text, or fallback if
// there is none.
func lastBracketed(text, fallback string) string {
	i := strings.LastIndexByte(text, '[')
	app, closed := strings.CutSuffix(text[i+1:], "]")
	if i < 0 || !closed || app == "" {
		return fallback
	}
	return app
}

// fromSidekiqTitle returns "shop" for "6.5.1 shop [0 of 5 busy]". The application
// may be missing.
func fromSidekiqTitle(text string) (app string, ok bool) {
	i := strings.LastIndexByte(text, '[')
	if i < 0 {
		return "", false
	}
	fields := strings.Fields(text[:i])
	if len(fields) < 2 {
		return "sidekiq", true
	}
	return fields[1], true
}

// fromCeleryTitle returns "shop" for
// "celery@host:MainProcess] -active- (celery -A shop worker)". Only the title of
// the first process of a pool contains the command line. For the other processes
// it returns the name of the node without the host.
func fromCeleryTitle(text string) string {
	node, state, _ := strings.Cut(text, "]")
	if _, line, found := strings.Cut(state, "("); found {
		if app := optionValue(strings.Fields(strings.TrimSuffix(line, ")")), "-A", "--app"); app != "" {
			return app
		}
	}
	node, _, _ = strings.Cut(node, "@")
	return node
}

// fromServer returns the application that the named server runs with args, or the
// name of the server if args name none. It reports false if no such server is
// known.
func fromServer(name string, args []string) (app string, ok bool) {
	switch name {
	case "gunicorn":
		app = optionValue(args, "-n", "--name") // gunicorn shows it in its title
		if app == "" {
			app = firstOperand(args, "-D", "--daemon", "-R", "--enable-stdio-inheritance", "--reload", "--preload", "--check-config",
				"--print-config", "--capture-output", "--no-sendfile", "--proxy-protocol", "--log-syslog", "--spew", "--initgroups",
				"--reuse-port", "--disable-redirect-access-to-syslog", "--suppress-ragged-eofs", "--do-handshake-on-connect")
		}
	case "uvicorn":
		app = firstOperand(args, "--reload", "--factory", "--use-colors", "--access-log", "--proxy-headers", "--server-header", "--date-header")
	case "hypercorn":
		app = firstOperand(args, "--debug", "--reload", "--daemon", "-d")
	case "daphne":
		app = firstOperand(args, "--proxy-headers", "--no-server-name")
	case "celery", "flask":
		app = optionValue(args, "-A", "--app")
	case "uwsgi", "uwsgi-core":
		app, name = fromUWSGI(args), "uwsgi"
	default:
		return "", false
	}
	if app == "" {
		app = name
	}
	return app, true
}

// firstOperand returns the first argument that is neither an option nor the value
// of one. Every option takes a value, except flags and options that begin with --no-.
func firstOperand(args []string, flags ...string) string {
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

// optionValue returns the value of an option with a short and a long name.
func optionValue(args []string, short, long string) string {
	for i, arg := range args {
		name, value, given := strings.Cut(arg, "=")
		switch {
		case given && name == long:
			return value
		case arg == short, arg == long:
			return firstArg(args[i+1:]).text
		case strings.HasPrefix(arg, short) && !strings.HasPrefix(arg, "--"):
			return arg[len(short):]
		}
	}
	return ""
}

// fromUWSGI returns the module or file that uWSGI serves, or else the name of its
// last configuration file. Distributions put their own default files first.
func fromUWSGI(args []string) (app string) {
	if module := optionValue(args, "-w", "--module"); module != "" {
		return module
	}
	if file := firstArg(args).text; !strings.HasPrefix(file, "-") && fileStem(file, uwsgiSuffixes...) != fileStem(file) {
		app = fileStem(file, uwsgiSuffixes...)
	}
	for i, arg := range args {
		name, value, given := strings.Cut(arg, "=")
		switch name {
		case "--wsgi-file", "--file", "--ini", "--yaml", "--xml", "--json":
			if !given {
				value = firstArg(args[i+1:]).text
			}
			app = fileStem(value, uwsgiSuffixes...)
		}
	}
	return app
}

var uwsgiSuffixes = []string{".py", ".ini", ".yaml", ".yml", ".xml", ".json"}
