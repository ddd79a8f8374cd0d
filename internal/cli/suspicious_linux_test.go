package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/test/procfstree"
)

// TestSuspiciousMatches checks that check lists processes that match only by an argument.
func TestSuspiciousMatches(t *testing.T) {
	tree := procfstree.New(t, 100_000)
	tree.Set(
		newProcess(700, 1, "redis-server", "/usr/bin/redis-server", "*:6379"),
		newProcess(701, 1, "journalctl", "journalctl", "-u", "redis"),
		newProcess(702, 1, "sh", "sh", "-c", "redis-cli --pass=x"),
		newProcess(703, 1, "process_exporte", "/usr/bin/process_exporter", "--config.path", "redis.yml"),
		newProcess(704, 1, "java", "/usr/bin/java", "-jar", "/opt/shop.jar"),
		newProcess(705, 1, "vim", "vim", "/etc/shop.jar.conf"),
		newProcess(706, 1, "nginx", "nginx", "redis"),
	)
	for rules, want := range map[string][]string{
		"- {name: redis, cmdline: redis}": {
			"rule 1 also matches the arguments of process 701 (journalctl): journalctl -u redis",
			"rule 1 also matches the arguments of process 702 (sh): sh -c redis-cli --pass=***",
			"rule 1 also matches the arguments of process 706 (nginx): nginx redis",
		},
		"- {name: shop, cmdline: shop.jar}": {
			"rule 1 also matches the arguments of process 705 (vim): vim /etc/shop.jar.conf",
		},
		"- {name: redis, cmdline: redis, comm: [redis-server]}": nil,
		"- {name: all, cmdline: .+}":                            nil,
	} {
		path := filepath.Join(t.TempDir(), "rules.yaml")
		if err := os.WriteFile(path, []byte("process_names:\n"+rules+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		status, out, errs := runArgs(t, "check", "--procfs", tree.Root, path)
		var got []string
		for line := range strings.Lines(out) {
			if strings.Contains(line, "also matches") {
				got = append(got, strings.TrimSuffix(line, "\n"))
			}
		}
		if status != 0 || strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: got status %d, %s\n%s\nwant\n%s", rules, status, errs, out, strings.Join(want, "\n"))
		}
	}
}
