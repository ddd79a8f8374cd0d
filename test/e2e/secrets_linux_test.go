package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/seed57308aee/process_exporter/internal/webui"
	"github.com/seed57308aee/process_exporter/test/testenv"
)

// secretPrefix is the start of every secret in the tests. The rest of a secret names its origin.
const secretPrefix = "S3cr3t-"

// secretRules match the secrets and use them in group names.
const secretRules = `process_names:
- {name: 'masked {{.Matches.all}}', cmdline: ['^sleep-masked(?P<all>.*S3cr.*)']}
- {name: '{{.Comm}}', cmdline: ['S3cr', '.+']}
- {name: other, cmdline: ['.+']}
`

// startSecretProcesses starts processes with secrets in their arguments and environment. The arguments
// of one are used in its group name, so that they must be masked.
func startSecretProcesses(t *testing.T) {
	t.Helper()
	t.Setenv("CANARY", secretPrefix+"environment")
	for _, args := range [][]string{
		{"sh", "-c", "read end", "sh", secretPrefix + "argument", "/run/" + secretPrefix + "path"},
		{"sleep-masked", "-c", "read end", "--password=" + secretPrefix + "flag", "DB_PASS=" + secretPrefix + "assigned",
			"https://alice:" + secretPrefix + "userinfo@host/x?token=" + secretPrefix + "query&x=1", "Authorization: Bearer " + secretPrefix +
				"bearer"},
	} {
		shell := exec.Command("sh")
		shell.Args = args
		in, err := shell.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := shell.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = in.Close()
			_ = shell.Wait() // the shell exits with an error at the end of its input
		})
	}
}

// A protectedExporter is an exporter with a password, and everything that it has sent.
type protectedExporter struct {
	*instance
	command *exec.Cmd
	log     *os.File
	outputs map[string]string // by request
}

// startProtected starts an exporter with the user alice.
func startProtected(t *testing.T, webConfig string, args ...string) *protectedExporter {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	args = append(args, "--web.enable-lifecycle", "--config.path", writeFile(t, "c.yml", secretRules), "--web.config.file", webConfig)
	command, r := startWithStderr(t, log, args...)
	return &protectedExporter{r, command, log, make(map[string]string)}
}

// request sends a request, as alice if password is not "", and records the response.
func (g *protectedExporter) request(method, target, password string, want int) string {
	g.t.Helper()
	u, err := url.Parse(g.URL + target)
	if err != nil {
		g.t.Fatal(err)
	}
	if password != "" {
		u.User = url.UserPassword("alice", password)
	}
	request, err := http.NewRequest(method, u.String(), nil)
	if err != nil {
		g.t.Fatal(err)
	}
	request.Header.Set("Referer", "http://host/"+secretPrefix+"referer")
	request.Header.Set("User-Agent", secretPrefix+"agent")
	response, err := g.Client.Do(request)
	if err != nil {
		g.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := httputil.DumpResponse(response, true)
	if err != nil {
		g.t.Fatal(err)
	}
	if response.StatusCode != want {
		g.t.Errorf("%s %s: got %s, want %d", method, target, response.Status, want)
	}
	g.outputs[fmt.Sprintf("answer %d to %s %s", response.StatusCode, method, target)] += string(text)
	return string(text)
}

// sendRaw sends bytes that need not be a valid request, and records the response.
func (g *protectedExporter) sendRaw(text string) {
	g.t.Helper()
	conn := g.dial()
	if _, err := io.WriteString(conn, text); err != nil {
		g.t.Fatal(err)
	}
	response, _ := io.ReadAll(conn) // the connection can be reset at the end
	g.outputs[fmt.Sprintf("answer to %.40q", text)] += string(response)
	_ = conn.Close()
}

// TestSecretsAreNotExposed gives secrets to processes, to the exporter, its configuration and its
// clients. No response, no log at any level and no crash trace may contain them.
func TestSecretsAreNotExposed(t *testing.T) {
	const right = secretPrefix + "password"
	startSecretProcesses(t)
	hash, err := bcrypt.GenerateFromPassword([]byte(right), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	for _, flags := range [][]string{
		{"--source=procfs", "-debug"},
		{"--source=auto", "--log.level=debug", "--log.format=json"},
		{"--source=procfs", "--log.level=info", "--web.telemetry-path=/metrics"},
		{"--source=auto", "--log.level=error"},
	} {
		t.Run(strings.Join(flags, " "), func(t *testing.T) {
			webConfig := writeFile(t, "web.yml", "basic_auth_users: {alice: '"+string(hash)+"'}\n")
			g := startProtected(t, webConfig, flags...)
			g.checkMasked(right)
			g.requestAll(right)
			if slices.Contains(flags, "-debug") || slices.Contains(flags, "--log.level=error") { // each takes a second
				g.writeInvalidWebConfig(webConfig, right)
			}
			g.crash()
			g.checkOutputs(secretPrefix, string(hash))
		})
	}
}

// checkMasked checks the group names of the processes with secrets.
func (g *protectedExporter) checkMasked(password string) {
	g.t.Helper()
	const masked = `masked  -c read end --password=*** DB_PASS=*** https://***@host/x?token=***&x=1 Authorization: Bearer ***`
	for range 2 {
		text := g.request("GET", "/metrics", password, 200)
		for _, name := range []string{"sh", masked} {
			if !strings.Contains(text, `num_procs{groupname="`+name+`"} `) {
				g.t.Errorf("got no group %s in %q", name, linesWith(strings.Split(text, "\n"), "_num_procs"))
			}
		}
	}
	// Arguments without a key, as those of sh, cannot be recognized in lists of processes.
	processes := webui.ProcessesPath + "?group=" + url.QueryEscape(masked)
	if text := g.request("GET", processes, password, 200); !strings.Contains(text, "sleep-masked -c read end --password=***") {
		g.t.Errorf("got %s, want a command line without secrets", text)
	}
	g.request("GET", processes, "", 401)
}

// requestAll sends valid and invalid requests with secrets to every path.
func (g *protectedExporter) requestAll(password string) {
	g.t.Helper()
	const query, unknown = "?token=" + secretPrefix + "query", "/" + secretPrefix + "path"
	status := map[string]int{
		healthyPath: 200, readyPath: 200, reloadPath: 405, "/page.js": 200, "/page.css": 200, "/api/v1/groups": 200,
		"/": 200, "/metrics": 200, pprofPath: 404, unknown: 404,
	}
	for path, want := range status {
		g.request("GET", path+query, password, want)
		g.request("GET", path+query, "", 401)
	}
	g.request("GET", webui.GroupsPath+"?group=sh", password, 200)
	g.request("GET", "/metrics", secretPrefix+"guess", 401)
	g.request("TRACE", "/metrics"+query, password, 405)
	g.request("POST", reloadPath, password, 200)
	g.Signal(syscall.SIGHUP)
	host := strings.TrimPrefix(g.URL, "http://")
	for _, text := range []string{
		"GET http://alice:" + password + "@" + host + "/metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
		"GET /" + secretPrefix + "version HTTP/9.9\r\n\r\n",
		secretPrefix + "garbage\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: " + secretPrefix + "host\r\n" + secretPrefix + " header: 1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat(secretPrefix, 4000) + "\r\n\r\n",
	} {
		g.sendRaw(text)
	}
}

// checkOutputs checks that nothing that the exporter sent or logged contains a secret.
func (g *protectedExporter) checkOutputs(secrets ...string) {
	g.t.Helper()
	for where, text := range g.outputs {
		for _, secret := range secrets {
			if at := strings.Index(text, secret); at >= 0 {
				g.t.Errorf("%s: got a secret: %.100q", where, text[max(0, at-30):])
			}
		}
	}
}

// TestSecretsInNameMapping uses command lines as group names without a configuration file.
func TestSecretsInNameMapping(t *testing.T) {
	startSecretProcesses(t)
	r := startExporter(t, "--source=procfs", "--log.level=debug", "--namemapping=sh,(--password=.*)")
	const want = `num_procs{groupname="sh:--password=*** DB_PASS=*** https://***@host/x?token=***&x=1 Authorization: Bearer ***"} 1`
	var text string
	testenv.WaitFor(t, "the group with masked secrets", func() bool {
		text = r.Scrape()
		return strings.Contains(text, want)
	}, r.Scrape)
	_, groups := r.Get(webui.GroupsPath)
	_, page := r.Get("/")
	for where, text := range map[string]string{
		"the metrics": text,
		"the groups":  groups,
		"the page":    page,
		"the log":     strings.Join(r.Log(), "\n"),
	} {
		if at := strings.Index(text, secretPrefix); at >= 0 {
			t.Errorf("%s: got a secret: %.100q", where, text[max(0, at-30):])
		}
	}
}

// writeInvalidWebConfig writes a password instead of its hash, as a user might by mistake, and waits
// until it is logged.
func (g *protectedExporter) writeInvalidWebConfig(path, password string) {
	g.t.Helper()
	if err := os.WriteFile(path, []byte("basic_auth_users: "+secretPrefix+"plain\n"), 0o600); err != nil {
		g.t.Fatal(err)
	}
	testenv.WaitFor(g.t, "the failed reload of the web configuration", func() bool {
		return strings.Contains(g.request("GET", "/metrics", password, 200), "namedprocess_exporter_web_config_last_reload_successful 0")
	})
	testenv.WaitFor(g.t, "the failed reload in the log", func() bool {
		return strings.Contains(g.logText(), "cannot reload web configuration")
	})
}

// crash ends the exporter with SIGQUIT and records its log with the stack traces.
func (g *protectedExporter) crash() {
	g.t.Helper()
	g.Signal(syscall.SIGQUIT)
	if err := g.command.Wait(); g.command.ProcessState.ExitCode() != 2 {
		g.t.Errorf("got %v on SIGQUIT, want exit status 2", err)
	}
	if g.outputs["log"] = g.logText(); !strings.Contains(g.outputs["log"], "goroutine ") {
		g.t.Errorf("got no stack traces in %.2000s", g.outputs["log"])
	}
}

func (g *protectedExporter) logText() string {
	g.t.Helper()
	text, err := os.ReadFile(g.log.Name())
	if err != nil {
		g.t.Fatal(err)
	}
	return string(text)
}

// TestSecretsInInvalidFiles has passwords in invalid web configurations and in URLs of another
// exporter.
func TestSecretsInInvalidFiles(t *testing.T) {
	web := func(text string) []string {
		return []string{"--web.listen-address=127.0.0.1:0", "--web.config.file", writeFile(t, "web.yml", text)}
	}
	for name, args := range map[string][]string{
		"plain":            web("basic_auth_users: {alice: S3cr3t-}\n"),
		"a text":           web("basic_auth_users: S3cr3t-\n"),
		"a long text":      web("basic_auth_users: S3cr3t-S3cr3t-S3cr3t-\n"),
		"a list":           web("basic_auth_users: [S3cr3t-]\n"),
		"an alias":         web("basic_auth_users: {alice: *S3cr3t-}\n"),
		"a tag":            web("basic_auth_users: {alice: !S3cr3t- x}\n"),
		"a tag of a list":  web("basic_auth_users: !S3cr3t- [x]\n"),
		"a number of http": web("http_server_config: {http2: S3cr3t-}\n"),
		"given twice":      web("basic_auth_users: {alice: S3cr3t-, alice: S3cr3t-}\n"),
		"a key":            web("tls_server_config: {key: 'S3cr3t-', cert: 'S3cr3t-'}\n"),
		"no scheme":        {"top", "--once", "--url=alice:S3cr3t-@127.0.0.1:1"},
		"a bad scheme":     {"top", "--once", "--url=htp://alice:S3cr3t-@127.0.0.1:1"},
		"a bad port":       {"top", "--once", "--url=http://alice:S3cr3t-@127.0.0.1:x"},
		"nobody there":     {"top", "--once", "--url=http://alice:S3cr3t-@127.0.0.1:1"},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, status := runToExit(t, args...)
			if status != 1 || strings.Count(stderr, "\n") != 1 {
				t.Errorf("got status %d and stderr %q, want 1 and one line", status, stderr)
			}
			if strings.Contains(stdout+stderr, secretPrefix) {
				t.Errorf("got the password in %q", stdout+stderr)
			}
			if strings.HasPrefix(args[0], "--web") {
				if stdout, _, status = runToExit(t, append(args, "--config.check")...); status != 1 || strings.Contains(stdout, secretPrefix) {
					t.Errorf("got exit status %d and output %q from the check", status, stdout)
				}
			}
		})
	}
}
