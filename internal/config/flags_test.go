package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// TestFlagReference compares docs/flags.md with the flags. `make generate`
// writes the file.
func TestFlagReference(t *testing.T) {
	testenv.CheckGenerated(t, "../../docs/flags.md", flagReference())
}

func flagReference() string {
	var b strings.Builder
	b.WriteString(`# Flags

<!-- made by make generate -->

<!-- not run: an example of the syntax -->
` + "```sh" + `
process_exporter --config.path=rules.yaml --web.listen-address=127.0.0.1:9256
` + "```" + `

- One dash or two, the value after ` + "`=`" + ` or in the next argument:
  ` + "`-config.path f`" + ` and ` + "`--config.path=f`" + ` are equal.
- Switches take a value only after ` + "`=`" + `: ` + "`--no-threads`" + ` and ` + "`-threads=false`" + ` are equal.
- If a flag is given twice, the last one counts. ` + "`--web.listen-address`" + ` can be given several times.
- Without a subcommand such as ` + "`check`" + `, each argument must be a flag or the value of a flag.
`)
	for _, g := range DaemonCommandLine().Sections {
		fmt.Fprintf(&b, "\n## %s\n\n| Flag | Default | Meaning |\n|---|---|---|\n", g.Title)
		for _, f := range g.flags() {
			value := ""
			if len(f.Default) > 0 && f.Default[0] != "" {
				value = "`" + strings.Join(f.Default, "`, `") + "`"
			}
			fmt.Fprintf(&b, "| `--%s` | %s | %s |\n", f.Name, value, strings.NewReplacer("|", `\|`, "*", `\*`).Replace(f.Help))
		}
	}
	return b.String()
}

// TestFlagHelp checks that help is at most 80 characters long and ends with a period.
func TestFlagHelp(t *testing.T) {
	for _, g := range DaemonCommandLine().Sections {
		for _, f := range g.flags() {
			if !f.IsBoolFlag() && f.PlaceHolder == "" {
				t.Errorf("--%s: got no placeholder, want one", f.Name)
			}
			if len(f.Help) > 80 || !strings.HasSuffix(f.Help, ".") {
				t.Errorf("--%s: got %d characters of help %q, want at most 80 and a period", f.Name, len(f.Help), f.Help)
			}
		}
	}
}

// TestUsage checks that exactly one line of the help describes each flag.
func TestUsage(t *testing.T) {
	usage := DaemonCommandLine().Usage("Commands:\n  check\n")
	lines := strings.Split(usage, "\n")
	for name := range flagKinds(DaemonCommandLine().newApp(new(Settings))) {
		found := 0
		for _, line := range lines {
			field, _, _ := strings.Cut(strings.TrimSpace(line), " ")
			field, _, _ = strings.Cut(field, "=")
			if field == "--"+name || field == "--[no-]"+name {
				found++
			}
		}
		if found != 1 {
			t.Errorf("got %d lines about --%s, want 1", found, name)
		}
	}
	if !strings.Contains(usage, "\nCommands:\n  check\n\nRules:\n") {
		t.Errorf("got %s, want the commands before the rules", usage)
	}
}
