//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const timeout = 10 * time.Minute // emulation on a busy machine is slow

// An exporter is a running instance of the product.
type exporter struct {
	cmd     *exec.Cmd
	address string
	source  string
	reason  string // why the source is not bpf

	mu  sync.Mutex // guards log
	log bytes.Buffer
}

// Write implements io.Writer for the log of the exporter.
func (e *exporter) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.log.Write(p)
}

func (e *exporter) logText() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.log.String()
}

// A user is an identity to run the exporter with. The user ID is 65534 unless it is root.
type user struct {
	root         bool
	capabilities []uintptr
}

var listening = regexp.MustCompile(`msg="Listening on" address=(\S+)`)

// run starts an exporter and waits until it has read the processes once.
func run(u user, args ...string) (*exporter, error) {
	e := &exporter{}
	e.cmd = exec.Command("/exporter", append([]string{"--config.path=/config.yaml", "--web.listen-address=127.0.0.1:0"}, args...)...)
	e.cmd.Stderr = e
	if !u.root {
		e.cmd.SysProcAttr = &syscall.SysProcAttr{
			Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, AmbientCaps: u.capabilities,
		}
	}
	if err := e.cmd.Start(); err != nil {
		return nil, err
	}
	for end := time.Now().Add(timeout); ; time.Sleep(20 * time.Millisecond) {
		if m := listening.FindStringSubmatch(e.logText()); m != nil {
			e.address = m[1]
			break
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("the exporter does not listen: %s", e.logText())
		}
	}
	for l := range strings.Lines(e.logText()) {
		if strings.Contains(l, `msg="reading processes"`) {
			e.source, e.reason = attribute(l, "source"), attribute(l, "reason")
		}
	}
	_, err := e.scrape()
	return e, err
}

// attribute returns the value of a key in a line of the log.
func attribute(line, key string) string {
	m := regexp.MustCompile(` ` + key + `=("(?:[^"\\]|\\.)*"|\S*)`).FindStringSubmatch(line)
	if m == nil {
		return ""
	}
	return strings.Trim(m[1], `"`)
}

func (e *exporter) stop() {
	_ = e.cmd.Process.Signal(unix.SIGTERM)
	_ = e.cmd.Wait()
}

// A scrape holds the values of all series of one scrape. Those of a group are named by the
// group, a space, and the series without prefix and without the label of the group.
type scrape map[string]float64

var groupLabel = regexp.MustCompile(`groupname="([^"]*)",?`)

func (e *exporter) scrape() (scrape, error) {
	client := http.Client{Timeout: timeout}
	response, err := client.Get("http://" + e.address + "/metrics")
	if err != nil {
		return nil, fmt.Errorf("%w, log %s", err, e.logText())
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	s := make(scrape)
	for l := range strings.Lines(string(body)) {
		l = strings.TrimSpace(l)
		at := strings.LastIndexByte(l, ' ')
		if at < 0 || l[0] == '#' {
			continue
		}
		key := l[:at]
		if m := groupLabel.FindStringSubmatch(key); m != nil {
			key = strings.Replace(groupLabel.ReplaceAllString(key, ""), ",}", "}", 1)
			key = m[1] + " " + strings.TrimPrefix(key, "namedprocess_namegroup_")
		}
		s[key] = number(l[at+1:])
	}
	return s, err
}
