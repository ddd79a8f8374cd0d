package deploy_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// runIsolated runs a script in network, mount and PID namespaces. Its processes end
// with the script, and changes below /etc are discarded.
func runIsolated(t *testing.T, dir, script string, env ...string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("namespaces require root")
	}
	unshare := testenv.RequireProgram(t, "unshare")
	testenv.RequireNamespaces(t)
	testenv.RequireProgram(t, "curl")
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

// readmeScript defines the actions of a reader of the README. A block that serves
// keeps its terminal; the next block then runs in another one.
const readmeScript = `set -m
serving=
terminal() {
	bash -e "$1" >"$1.log" 2>&1 & local job=$!
	while kill -0 "$job" 2>/dev/null; do
		if [ -z "$serving" ] && curl -sf -o "$1.metrics" localhost:9256/metrics; then serving=$job; return; fi
		sleep 0.1
	done
	wait "$job" || { echo "block $1 failed:"; cat "$1.log"; exit 1; }
	cat "$1.log"
}
interrupt() {
	[ -n "$serving" ] || { echo "no exporter serves"; exit 1; }
	kill -INT -- -"$serving"
	wait "$serving" || true
	serving=
}
minute() { until bash -e "$1" | grep groupname; do sleep 0.1; done; }
`

// TestReadme runs the blocks of the README in order, as its text says: in another
// terminal while an exporter serves, and after an interrupt where the text says so.
func TestReadme(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	testenv.RequireProgram(t, "prometheus")
	dir, blocks := copyRepository(t), t.TempDir()
	script, n := readmeScript, 0
	for _, b := range readmeBlocks(t) {
		if b.directive != "run: readme" {
			continue
		}
		n++
		file := filepath.Join(blocks, strconv.Itoa(n))
		if err := os.WriteFile(file, []byte(b.code), 0o644); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.prose, "Stop the running exporter with Ctrl-C.") {
			script += "interrupt\n"
		}
		run := "terminal "
		if strings.Contains(b.prose, "After a minute") {
			run = "minute "
		}
		script += "echo step " + strconv.Itoa(n) + "; " + run + file + "\n"
	}
	if n < 6 {
		t.Fatalf("got %d blocks in the README, want at least 6", n)
	}
	text := runIsolated(t, dir, script+"cat "+filepath.Join(blocks, "4.log"))
	for _, want := range []string{`namedprocess_namegroup_num_procs{groupname="bash"} `, "rules loaded", `"groupname":`} {
		if !strings.Contains(text, want) {
			t.Errorf("got\n%s\nwant %s in it", text, want)
		}
	}
}

// A readmeBlock is shell code of the README, and the text between it and the
// previous block.
type readmeBlock struct{ prose, directive, code string }

func readmeBlocks(t *testing.T) (all []readmeBlock) {
	t.Helper()
	text := read(t, "../README.md")
	end := 0
	for _, at := range shellCode.FindAllStringSubmatchIndex(text, -1) {
		if at[4] < 0 {
			t.Fatalf("got a block without a comment <!-- run: readme --> or <!-- not run: reason -->:\n%s", text[at[0]:at[1]])
		}
		all = append(all, readmeBlock{text[end:at[0]], text[at[4]:at[5]], text[at[6]:at[7]]})
		end = at[1]
	}
	return all
}

// TestMakeRunSharesTheBuild checks that make run and make build use the same
// command, so that the second takes everything from the build cache.
func TestMakeRunSharesTheBuild(t *testing.T) {
	testenv.RequireProgram(t, "make")
	build := strings.TrimSpace(mustOutput(t, "make", "-n", "-C", "..", "--no-print-directory", "build"))
	run := mustOutput(t, "make", "-n", "-C", "..", "--no-print-directory", "run")
	if !strings.HasPrefix(run, build+"\n") || strings.Contains(run, "go run") {
		t.Errorf("make run: got %q, want it to begin with %q", run, build)
	}
}

// TestConfigurationPage runs the commands of docs/configuration.md.
func TestConfigurationPage(t *testing.T) {
	code := blocksFor(t, "configuration", 2)
	dir := filepath.Dir(testenv.BuildExporter(t))
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
	testenv.RequireProgram(t, "jsonnet")
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
