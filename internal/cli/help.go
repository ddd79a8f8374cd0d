package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/seed57308aee/process_exporter/internal/config"
)

// usage returns the help text of the program: the commands, then the flags of
// the daemon.
func usage() string {
	var b strings.Builder
	b.WriteString("Without a command it serves metrics over HTTP. Commands:\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "  %-34s %s\n", strings.TrimSpace(c.Command+" "+c.Args), c.Help)
	}
	fmt.Fprintf(&b, "  %-34s %s\n", "help [COMMAND]", "Print this help, or the flags of a command.")
	b.WriteString("\nFlags have one dash or two. To disable a switch, write --no-threads or -threads=false.\n")
	return config.DaemonCommandLine().Usage(b.String())
}

// printUsage prints the help text of the program.
func printUsage(w io.Writer) error {
	_, err := io.WriteString(w, usage())
	return err
}

// runHelp implements "process_exporter help [COMMAND]".
func runHelp(args []string, w io.Writer) error {
	switch {
	case len(args) > 1:
		return fmt.Errorf("unexpected argument %q: help takes one command", args[1])
	case len(args) == 0, args[0] == "help", args[0] == config.HelpFlag, args[0] == "-h":
		return printUsage(w)
	}
	c, err := findCommand(args[0])
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, c.Usage(c.notes))
	return err
}
