package config

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kingpin/v2"
)

// Usage returns the help text of the command: a line for each flag, by subject.
// Between the description and the flags it contains extra.
func (c CommandLine) Usage(extra string) string {
	var b strings.Builder
	command := strings.TrimSpace(Program + " " + c.Command)
	fmt.Fprintf(&b, "usage: %s\n\n%s\n", strings.TrimSpace(command+" [FLAG...] "+c.Args), c.Help)
	if extra != "" {
		b.WriteString("\n" + extra)
	}
	for _, g := range c.Sections {
		fmt.Fprintf(&b, "\n%s:\n", g.Title)
		for _, f := range g.flags() {
			fmt.Fprintf(&b, "  %-34s %s%s\n", flagSyntax(f), f.Help, defaultText(f))
		}
	}
	return b.String()
}

// flags returns the flags of the section in the order of their definition.
func (g FlagSection) flags() []*kingpin.FlagModel {
	app := kingpin.New(Program, "")
	g.Add(app, new(Settings))
	var own []*kingpin.FlagModel
	for _, f := range app.Model().Flags {
		if !f.Hidden && "--"+f.Name != HelpFlag {
			own = append(own, f)
		}
	}
	return own
}

// flagSyntax returns the flag with the placeholder of its value.
func flagSyntax(f *kingpin.FlagModel) string {
	switch {
	case f.IsBoolFlag() && defaultOf(f) == "true":
		return "--[no-]" + f.Name
	case f.IsBoolFlag():
		return "--" + f.Name
	}
	return "--" + f.Name + "=" + f.PlaceHolder
}

// defaultText returns the default in parentheses, "" for flags without one.
func defaultText(f *kingpin.FlagModel) string {
	if value := defaultOf(f); value != "" {
		return " (default " + value + ")"
	}
	return ""
}

func defaultOf(f *kingpin.FlagModel) string {
	if len(f.Default) == 0 {
		return ""
	}
	return f.Default[0]
}
