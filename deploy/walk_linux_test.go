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

// runApart runs a script where nobody else has the ports, and where all that it
// leaves running ends with it. What it changes in /etc is gone afterwards.
func runApart(t *testing.T, dir, script string, env ...string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("namespaces take root")
	}
	unshare := need(t, "unshare")
	need(t, "curl")
	etc := t.TempDir()
	for _, name := range []string{"upper", "work"} {
		if err := os.Mkdir(filepath.Join(etc, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	const apart = `set -e
ip link set lo up
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$ETC/upper,workdir=$ETC/work" /etc
eventually() { until "$@" 2>/dev/null; do sleep 0.1; done; }
`
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, unshare, "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c", apart+script)
	command.Dir = dir
	command.Env = append(append(os.Environ(), "ETC="+etc), env...)
	command.WaitDelay = 10 * time.Second
	text, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, script, text)
	}
	return string(text)
}

// asFunction lets a script call a block by a name.
func asFunction(name, block string) string { return name + "() {\n" + block + "}\n" }

// TestTry does what the README says first: runs the program, asks it, and gives
// it the README's rules.
func TestTry(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the program")
	}
	code := blocksFor(t, "try", 3)
	dir := copyRepository(t)
	rules := yamlCode.FindStringSubmatch(read(t, "../README.md"))
	if rules == nil {
		t.Fatal("no rules in the README")
	}
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(rules[1]), 0o644); err != nil {
		t.Fatal(err)
	}
	text := runApart(t, dir, asFunction("run", code[0])+asFunction("ask", code[1])+asFunction("rules", code[2])+`
set -m
run >/dev/null 2>&1 & eventually ask
kill -- -$!; wait $! || true
rules & eventually ask
kill -- -$!; wait $! || true
`)
	if strings.Count(text, `namedprocess_namegroup_num_procs{groupname="bash"} `) != 2 || !strings.Contains(text, "Rules loaded") {
		t.Errorf("got\n%s", text)
	}
}

// TestWalk does what the README tells a newcomer, letter by letter, and expects
// data within its five minutes.
func TestWalk(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the program")
	}
	need(t, "prometheus")
	code := blocksFor(t, "walk", 2)
	text := runApart(t, copyRepository(t), code[0]+asFunction("ask", code[1])+`answer() { ask | grep groupname; }
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
	text := runApart(t, copyRepository(t), asFunction("serve", code[0])+`
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
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// TestImagePage runs the image as its page says.
func TestImagePage(t *testing.T) {
	code := blocksFor(t, "image", 1)
	e := newEngine(t)
	e.buildHere()
	text := runApart(t, "..", `podman() { shift; command podman `+strings.Join(e.flags, " ")+` run --rm --name=page --ulimit=nofile=1024:1024 --ulimit=nproc=4096:4096 "$@"; }
`+asFunction("serve", strings.Replace(code[0], " process-exporter\n", " localhost/process-exporter\n", 1))+`
serve & eventually curl -sf http://localhost:9256/metrics | grep ^namedprocess_exporter_scrape_success
command podman `+strings.Join(e.flags, " ")+` stop page; wait $!
`)
	if !strings.Contains(text, "namedprocess_exporter_scrape_success 1\n") {
		t.Errorf("got\n%s", text)
	}
}

// TestBlocksThatRunHere runs what needs nothing but the repository.
func TestBlocksThatRunHere(t *testing.T) {
	needTool(t, "kubectl")
	need(t, "jsonnet")
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range blocksFor(t, "here", 2) {
		command := exec.Command("bash", "-ec", block)
		command.Dir = ".."
		command.Env = append(os.Environ(), "PATH="+filepath.Join(cache, "process_exporter", "bin")+":"+os.Getenv("PATH"))
		if text, err := command.CombinedOutput(); err != nil || len(text) < 1000 {
			t.Errorf("%v\n%s\n%s", err, block, text)
		}
	}
}
