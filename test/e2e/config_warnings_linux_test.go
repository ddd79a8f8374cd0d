package e2e

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestConfigWarnings checks that files which the predecessor accepts still work, with a warning.
func TestConfigWarnings(t *testing.T) {
	const good = "process_names:\n- {name: all, cmdline: .+}\n"
	command, config := unprivilegedExporter(t, "--once-to-stdout-delay=1ms")
	rules, limit := 1000, testTimeout
	if chaos {
		rules, limit = 9_900, 10*time.Second // close to the limit of rules
	}
	var many strings.Builder
	many.WriteString("process_names:\n- {comm: [a0], name: x}\n")
	for i := range rules {
		fmt.Fprintf(&many, "- {comm: [a%d], name: b}\n", i)
	}
	for _, tt := range []struct{ name, text, want string }{ // want is part of the warning, "" for none
		{"many rules", many.String(), ":3:3: the rule is never reached"},
		{"empty", "", ":1: the file has no rules"},
		{"only a comment", "# nothing\n", ":1: the file has no rules"},
		{"no rules", "process_names: []\n", ":1:16: the file has no rules"},
		{"empty comm list", "process_names:\n- {name: x, comm: []}\n", ""},
		{"a typo", strings.Replace(good, "names", "name", 1), `:1:1: unknown key "process_name", did you mean "process_names"?`},
		{"an unknown key", good + "colour: red\n", `:3:1: unknown key "colour"`},
		{"a key given twice", "process_names:\n- {comm: [sh], name: all, comm: [java]}\n", `:2:27: key "comm" is given twice`},
		{"a second document", good + "---\n" + good, ":3:1: only the first document"},
		{"1,000 unknown keys", good + strings.Repeat("k: 1\n", 1000), `:3:1: unknown key "k"`},
		{"an unknown key of a megabyte", good + "? " + strings.Repeat("k", 1<<20-64) + "\n: 1\n", "unknown key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			invalidText("", tt.text, 0, "").install(t, config)
			c := command()
			var stdout, stderr bytes.Buffer
			c.Stdout, c.Stderr = &stdout, &stderr
			start := time.Now()
			if err := c.Run(); err != nil || !strings.Contains(stdout.String(), "namedprocess_exporter_scrape_success 1\n") {
				t.Errorf("got error %v, stdout %.300q and stderr %.300q", err, stdout.String(), stderr.String())
			}
			if took := time.Since(start); took > limit {
				t.Errorf("got %v, want a shorter time", took)
			}
			check := command()
			check.Args = append(check.Args, "--config.check")
			output, err := check.Output()
			if (err == nil) != (tt.want == "") || !bytes.Contains(output, []byte(tt.want)) {
				t.Errorf("got %.600q from the check, error %v, want %q", output, err, tt.want)
			}
			if longest := len(bytes.Split(output, []byte("\n"))[0]); longest > 1000 {
				t.Errorf("got a line of %d bytes from the check, want at most 1000", longest)
			}
		})
	}
}
