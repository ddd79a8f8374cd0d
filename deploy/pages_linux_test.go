package deploy_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var yamlCode = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```")

// runIsolated runs a script in network, mount and PID namespaces. Its processes end
// with the script, and changes below /etc are discarded.
func runIsolated(t *testing.T, dir, script string, env ...string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("namespaces require root")
	}
	unshare := requireProgram(t, "unshare")
	requireProgram(t, "curl")
	etc := t.TempDir()
	for _, name := range []string{"upper", "work"} {
		if err := os.Mkdir(filepath.Join(etc, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	const setup = `set -e
ip link set lo up
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$ETC/upper,workdir=$ETC/work" /etc
eventually() { until "$@" 2>/dev/null; do sleep 0.1; done; }
`
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, unshare, "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
		"bash", "-c", setup+script)
	command.Dir = dir
	command.Env = append(append(os.Environ(), "ETC="+etc), env...)
	command.WaitDelay = 10 * time.Second
	text, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, script, text)
	}
	return string(text)
}

// asFunction returns a shell function with the code of a block.
func asFunction(name, block string) string { return name + "() {\n" + block + "}\n" }

// TestReadmeExample runs the first example of the README, with its rules.
func TestReadmeExample(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	code := blocksFor(t, "example", 3)
	dir := copyRepository(t)
	rules := yamlCode.FindStringSubmatch(read(t, "../README.md"))
	if rules == nil {
		t.Fatal("got no rules in the README")
	}
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(rules[1]), 0o644); err != nil {
		t.Fatal(err)
	}
	text := runIsolated(t, dir, asFunction("run", code[0])+asFunction("query", code[1])+asFunction("rules", code[2])+`
set -m
run >/dev/null 2>&1 & eventually query
kill -- -$!; wait $! || true
rules & eventually query
kill -- -$!; wait $! || true
`)
	if strings.Count(text, `namedprocess_namegroup_num_procs{groupname="bash"} `) != 2 || !strings.Contains(text, "rules loaded") {
		t.Errorf("got\n%s", text)
	}
}

// TestQuickStart runs the quick start of the README, and checks that Prometheus has
// data.
func TestQuickStart(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	requireProgram(t, "prometheus")
	code := blocksFor(t, "quick-start", 2)
	text := runIsolated(t, copyRepository(t), code[0]+asFunction("query", code[1])+`answer() { query | grep groupname; }
eventually answer
`)
	if !strings.Contains(text, `"groupname":`) {
		t.Errorf("got\n%s", text)
	}
}

// TestConfigurationPage runs the commands that write and judge rules.
func TestConfigurationPage(t *testing.T) {
	code := blocksFor(t, "configuration", 2)
	dir := filepath.Dir(exporterPath(t))
	text := runIsolated(t, copyRepository(t), asFunction("serve", code[0])+`
mkdir -p /etc/process-exporter
cp deploy/systemd/all.yaml /etc/process-exporter
cp config.yaml.example config.yaml
cp "$(command -v sleep)" nginx
./nginx 300 &
eventually grep -qx nginx /proc/$!/comm
serve & eventually curl -sf http://localhost:9256/metrics >/dev/null
`+code[1], "PATH="+dir+":"+os.Getenv("PATH"))
	for _, want := range []string{"rules loaded", `in group "nginx"`, "PROCS  THREADS"} {
		if !strings.Contains(text, want) {
			t.Errorf("got\n%s\nwant %q in it", text, want)
		}
	}
}

// TestImagePage runs the image with the command of its page.
func TestImagePage(t *testing.T) {
	code := blocksFor(t, "image", 1)
	e := newEngine(t)
	e.buildHere()
	text := runIsolated(t, "..", `podman() {
	shift
	command podman `+strings.Join(e.flags, " ")+` run --rm --name=page --ulimit=nofile=1024:1024 --ulimit=nproc=4096:4096 "$@"
}
`+asFunction("serve", strings.Replace(code[0], " process-exporter\n", " localhost/process-exporter\n", 1))+`
serve & eventually curl -sf http://localhost:9256/metrics | grep ^namedprocess_exporter_scrape_success
command podman `+strings.Join(e.flags, " ")+` stop page; wait $!
`)
	if !strings.Contains(text, "namedprocess_exporter_scrape_success 1\n") {
		t.Errorf("got\n%s", text)
	}
}

// TestRepositoryBlocks runs the blocks that only require the repository.
func TestRepositoryBlocks(t *testing.T) {
	requireTool(t, "kubectl")
	requireProgram(t, "jsonnet")
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range blocksFor(t, "repository", 2) {
		command := exec.Command("bash", "-ec", block)
		command.Dir = ".."
		command.Env = append(os.Environ(), "PATH="+filepath.Join(cache, "process_exporter", "bin")+":"+os.Getenv("PATH"))
		if text, err := command.CombinedOutput(); err != nil || len(text) < 1000 {
			t.Errorf("%v\n%s\n%s", err, block, text)
		}
	}
}
