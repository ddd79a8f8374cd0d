package deploy_test

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestWalk does what the README tells a newcomer, letter by letter, and expects
// data within its five minutes. It runs in a network namespace, where nobody
// else has the ports.
func TestWalk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("a network namespace takes root")
	}
	need(t, "prometheus")
	need(t, "curl")
	unshare := need(t, "unshare")
	blocks := regexp.MustCompile("(?s)<!-- walk -->\n```sh\n(.*?)```").FindAllStringSubmatch(read(t, "../README.md"), -1)
	if len(blocks) != 2 {
		t.Fatalf("got %d blocks in the README, want 2", len(blocks))
	}
	script := "set -e\nip link set lo up\n" + blocks[0][1] + "\nuntil ask() {\n" + blocks[1][1] + "}; ask 2>/dev/null | grep groupname; do sleep 1; done\n"
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	// All that the script leaves running ends with its PID namespace.
	command := exec.CommandContext(ctx, unshare, "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c", script)
	command.Dir = ".."
	text, err := command.CombinedOutput()
	if err != nil || !strings.Contains(string(text), `"groupname":`) {
		t.Errorf("%v\n%s", err, text)
	}
}
