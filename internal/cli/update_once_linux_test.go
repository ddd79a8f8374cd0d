package cli

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seed57308aee/process_exporter/test/procfstree"
	"github.com/seed57308aee/process_exporter/test/testenv"
)

// writeRules writes a rule file with one rule that is never reached.
func writeRules(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rules.yaml")
	text := "process_names:\n- {name: a, comm: [init]}\n- {name: b, comm: [init]}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestCommandsPrintWarnings checks that each command that groups processes prints the warnings of
// the rules once, on stderr, as check does on stdout.
func TestCommandsPrintWarnings(t *testing.T) {
	tree := procfstree.New(t, 100_000)
	tree.Set(newProcess(1, 0, "init", "init"))
	path := writeRules(t)
	_, out, _ := runArgs(t, "check", "--procfs", tree.Root, path)
	warning, _, _ := strings.Cut(out, "\n")
	if !strings.HasPrefix(warning, path+":3:3: warning: the rule is never reached") {
		t.Fatalf("check: got %q, want a warning first", out)
	}
	for _, command := range []string{
		"groups --pause=0s", "groups --pause=0s --json", "groups --pause=0s --unmatched", "explain 1", "explain --json 1",
		"top --once --interval=1s --source=procfs", "top --json --interval=1s --source=procfs",
	} {
		args := append(strings.Fields(command), "--procfs", tree.Root, "--config.path", path)
		status, out, errs := runArgs(t, args...)
		if status != 0 || strings.Count(errs, warning+"\n") != 1 || strings.Contains(out, "never reached") {
			t.Errorf("%s: got status %d, stderr %q, stdout %q, want the warning once on stderr", command, status, errs, out)
		}
	}
}

// TestGroupsAsOtherUser checks that groups names the data that an unprivileged user cannot see.
func TestGroupsAsOtherUser(t *testing.T) {
	testenv.RequireRoot(t)
	const nobody = 65534
	for _, tt := range []struct{ args, want string }{
		{"groups --pause=0s", "CAP_SYS_PTRACE (io"},
		{"top --once --interval=1s --source=procfs", "CAP_SYS_PTRACE (io"},
		{"groups --pause=0s --no-collector.io --no-collector.smaps --no-collector.files", ""},
		{"groups --pause=0s --unmatched", ""},
	} {
		command := exec.CommandContext(t.Context(), "/proc/self/exe", strings.Fields(tt.args)...)
		command.Dir, command.Env = "/", append(os.Environ(), runMain+"=1")
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		var stderr bytes.Buffer
		command.Stderr = &stderr
		out, err := command.Output()
		if err != nil || len(out) == 0 {
			t.Fatalf("%s: got %v, %q, %s", tt.args, err, out, stderr.Bytes())
		}
		text := stderr.String()
		if strings.Contains(text, "hidepid") { // of this machine
			continue
		}
		if isNote := strings.HasPrefix(text, "note: some data of other users'"); isNote != (tt.want != "") || !strings.Contains(text, tt.want) {
			t.Errorf("%s: got stderr %q, want %q", tt.args, text, tt.want)
		}
	}
}

// TestUnknownUser checks that check reports users of rules that do not exist.
func TestUnknownUser(t *testing.T) {
	tree := procfstree.New(t, 100_000)
	tree.Set(newProcess(1, 0, "init", "init"))
	path := filepath.Join(t.TempDir(), "rules.yaml")
	text := "process_names:\n- {name: a, user: [root, '0', nosuch-1]}\n- {name: b, comm: [init], not: {user: nosuch-2}}\n" +
		"- {ignore: true, comm: x}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	status, out, errs := runArgs(t, "check", "--procfs", tree.Root, path)
	for _, want := range []string{`rule 1 has the user "nosuch-1",`, `rule 2 has the user "nosuch-2",`, " (ignored) "} {
		if strings.Count(out, want) != 1 {
			t.Errorf("got %q, want %q once", out, want)
		}
	}
	if status != 0 || strings.Count(out, "has the user") != 2 || strings.Contains(out, "{{") {
		t.Errorf("got status %d, %s, %s, want two unknown users and no template", status, out, errs)
	}
}
