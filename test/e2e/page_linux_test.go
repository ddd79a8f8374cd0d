package e2e

import (
	"encoding/json"
	"flag"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

var pageScreenshots = flag.String("page-shots", "", "directory for pictures of the page")

// A pageTask is the variable PAGE_TASK of testdata/browser/browser.mjs.
type pageTask struct {
	URL        string `json:"url"` // ends with a slash
	User       string `json:"user,omitempty"`
	Password   string `json:"password,omitempty"`
	Chromium   string `json:"chromium"`
	Steady     string `json:"steady"`  // a group of idle processes
	Busy       string `json:"busy"`    // a group of a process that uses CPU time all the time
	Failing    string `json:"failing"` // a group whose processes exit with status 3
	Ignored    string `json:"ignored"` // a process in no group
	Missing    string `json:"missing"` // name of a group with less processes than expected
	Everything bool   `json:"everything"`
	Table      bool   `json:"table"` // only the tables of groups and processes

	Network string `json:"network,omitempty"` // a group that listens on Port and sends bytes over one TCP connection
	Port    string `json:"port,omitempty"`

	Writing string `json:"writing,omitempty"` // a group of a process that appends to the file Written
	Written string `json:"written,omitempty"`

	// Exporter is the command line of another exporter, without a listen address.
	Exporter []string `json:"exporter,omitempty"`

	Shots string `json:"shots,omitempty"`
}

// pageModules returns the directory where testdata/prerequisites.sh installs the npm modules of
// testdata/browser.
func pageModules(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "process_exporter", "page")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "playwright-core")); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%v; testdata/prerequisites.sh installs it", err)
		}
		t.Skip(err)
	}
	return dir
}

// run runs the task in a browser.
func (task pageTask) run(t *testing.T) {
	t.Helper()
	modules := pageModules(t)
	task.Chromium = testenv.RequireProgram(t, "chromium")
	text, err := json.Marshal(task)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(testenv.RequireProgram(t, "node"), "testdata/browser/browser.mjs")
	command.Env = append(os.Environ(), "PAGE_MODULES="+modules, "PAGE_TASK="+string(text)) // a command line would have the names of groups
	var stderr strings.Builder                                                             // can have warnings of Node.js
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v:\n%s%s", err, out, &stderr)
	}
	if t.Logf("measured: %s", out); !task.Everything {
		return
	}
	var measured struct {
		Paint       float64 `json:"first_paint_ms"`
		Update      float64 `json:"update_ms"`
		Interaction float64 `json:"interaction_ms"`
	}
	if err := json.Unmarshal(out, &measured); err != nil {
		t.Fatal(err)
	}
	if measured.Interaction == 0 {
		t.Error("got no time of an interaction")
	}
	if chaos && (measured.Paint > 1000 || measured.Update > 100) {
		t.Error("got a page that is too slow")
	}
}

// startBusy starts a process that uses CPU time all the time.
func startBusy(t *testing.T, name string) {
	t.Helper()
	startShell(t, name, "while :; do :; done")
}

// startFailing starts a process whose children exit with status 3, about two in a second.
func startFailing(t *testing.T, name string) {
	t.Helper()
	startShell(t, name, `while :; do "$0" -c 'exit 3'; sleep 0.5; done`)
}

// startWriting starts a process that appends to a file, and returns the path of the file.
func startWriting(t *testing.T, name string) string {
	t.Helper()
	dir, err := os.MkdirTemp(pageModules(t), "written") // that of the test can be in memory
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := writeFile(t, "block", strings.Repeat("x", 128<<10))
	startShell(t, name, `block=$(cat `+path+`); while printf %s "$block" >> `+dir+`/file; do sleep 0.2; done`)
	return filepath.Join(dir, "file")
}

// startShell runs a script in a copy of the shell, with its path as $0.
func startShell(t *testing.T, name, script string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	testenv.CopyProgram(t, "/bin/sh", path)
	command := exec.Command(path, "-c", script, path)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
}

// TestPage opens the page in a browser: directly, behind a proxy that serves it below a path, and with
// TLS and a password.
func TestPage(t *testing.T) {
	pageModules(t)
	t.Parallel() // mostly waits for updates
	unique := uniqueToken()
	task := pageTask{
		Steady: "steady" + unique, Busy: "busy" + unique, Failing: "crasher" + unique, Ignored: "leftout" + unique, Missing: "absent",
	}
	for range 3 {
		startIdleProcess(t, task.Steady)
	}
	startIdleProcess(t, "<img onerror=x>")
	startIdleProcess(t, task.Ignored)
	startBusy(t, task.Busy)
	startFailing(t, task.Failing)
	config := writeFile(t, "c.yml", "process_names:\n  - {name: "+task.Steady+", comm: ["+task.Steady+"], expect: {min: 1}}\n"+
		"  - {name: absent, comm: [absent], expect: {min: 2}}\n  - {name: absent2, comm: [absent2], expect: {min: 2}}\n"+
		"  - {comm: ["+task.Ignored+"], ignore: true}\n"+
		"  - name: '{{.Comm}}'\n    cmdline: ['.+']\n")

	writing := "writer" + unique
	written := startWriting(t, writing)

	t.Run("alone", func(t *testing.T) {
		t.Parallel()
		r := startExporter(t, "--config.path", config)
		task := task
		task.Writing, task.Written = writing, written
		task.URL, task.Everything, task.Shots = r.waitForURL()+"/", true, *pageScreenshots
		task.Exporter = []string{binary, "--config.path", config}
		task.run(t)
	})
	t.Run("other", func(t *testing.T) {
		t.Parallel()
		t.Run("procfs", func(t *testing.T) {
			task := task
			task.Writing, task.Written = writing, written
			task.URL = startExporter(t, "--source=procfs", "--config.path", config).waitForURL() + "/"
			task.run(t)
		})
		t.Run("network", func(t *testing.T) { task.runWithNetwork(t, "net"+unique) })
		t.Run("below a path", func(t *testing.T) { task.runBelowPath(t, config) })
		t.Run("TLS and a password", func(t *testing.T) { task.runWithPassword(t, config) })
	})
}

// runWithPassword opens the page of an exporter with TLS and a password.
func (task pageTask) runWithPassword(t *testing.T, config string) {
	dir := t.TempDir()
	writeCertificate(t, dir)
	web := filepath.Join(dir, "web.yml")
	text := "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\nbasic_auth_users: {alice: '" + passwordHash + "'}\n"
	if err := os.WriteFile(web, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := startListening(t, withListener([]string{"--config.path", config, "--web.config.file", web})...)
	task.URL, task.User, task.Password = strings.Replace(r.waitForURL(), "http:", "https:", 1)+"/", "alice", password
	task.run(t)
}

// runWithNetwork opens the page of an exporter with the collector network. The process with this
// name listens and transfers bytes.
func (task pageTask) runWithNetwork(t *testing.T, name string) {
	address := freeAddress(t)
	startNamedWorker(t, t.TempDir(), name, nil).do("listen %s", address)
	transfer(t, address)
	task.Network, task.Shots = name, *pageScreenshots
	_, task.Port, _ = net.SplitHostPort(address) // freeAddress has a port
	rules := writeFile(t, "network.yml", "process_names:\n  - {name: "+name+", comm: "+name+
		", expect: {listen: ["+task.Port+", udp/1]}}\n  - {name: '{{.Comm}}', cmdline: '.+'}\n")
	task.URL = startExporter(t, "--config.path", rules, "--collector.network").waitForURL() + "/"
	task.run(t)
}

// runBelowPath opens the page behind a proxy that serves it below a path.
func (task pageTask) runBelowPath(t *testing.T, config string) {
	target, err := url.Parse(startExporter(t, "--config.path", config).waitForURL())
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(http.StripPrefix("/hosts/one", httputil.NewSingleHostReverseProxy(target)))
	defer proxy.Close()
	task.URL = proxy.URL + "/hosts/one/"
	task.run(t)
}
