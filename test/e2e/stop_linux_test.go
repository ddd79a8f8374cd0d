package e2e

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/test/procfstree"
	"github.com/seed57308aee/process_exporter/test/testenv"
)

// TestStopDuringScrapes sends SIGTERM at random times during scrapes. Each scrape gets a complete
// response or a refused connection, and the exporter exits with 0.
func TestStopDuringScrapes(t *testing.T) {
	eachSource(t, stopRepeatedly)
}

func stopRepeatedly(t *testing.T, source string) {
	rounds := 4
	if chaos {
		rounds = 100
	}
	var results outcomes
	var worst time.Duration
	for i := range rounds {
		r := startSource(t, strings.TrimPrefix(source, "--source="))
		var signalled atomic.Bool
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { results.scrapeUntilExit(t, r, &signalled) })
		}
		moment := 5*time.Millisecond + rand.N(30*time.Millisecond)
		<-time.After(moment)
		signalled.Store(true)
		start := time.Now()
		status := r.Stop()
		took := time.Since(start)
		worst = max(worst, took)
		wg.Wait()
		if status != 0 || checkTimes && took > 5*time.Second {
			t.Errorf("round %d, after %v: got exit status %d in %v, want 0", i, moment, status, took)
		}
	}
	t.Logf("%d rounds: %d complete responses, %d of them interrupted by the signal, %d connections refused; stopped within %v",
		rounds, results.complete.Load(), results.interrupted.Load(), results.refused.Load(), worst)
	if results.complete.Load() < int64(rounds) {
		t.Error("got fewer responses than rounds")
	}
	if chaos && results.interrupted.Load() < int64(rounds) { // of three scrapes in each round
		t.Error("got fewer responses interrupted by the signal than rounds")
	}
}

// An outcomes counts the results of scrapes.
type outcomes struct {
	complete, refused atomic.Int64
	interrupted       atomic.Int64 // complete responses during which the signal was sent
}

// scrapeUntilExit scrapes until the exporter refuses the connection, which it must not do before the
// signal. No response may be incomplete.
func (o *outcomes) scrapeUntilExit(t *testing.T, r *instance, signalled *atomic.Bool) {
	for {
		before := !signalled.Load()
		started, err := r.scrapeComplete()
		after := signalled.Load()
		switch {
		case err == nil:
			o.complete.Add(1)
			if before && after {
				o.interrupted.Add(1)
			}
		case started:
			t.Errorf("got an incomplete response: %v", err)
			return
		case !after:
			t.Errorf("got a refused connection before the signal: %v", err)
			return
		default:
			o.refused.Add(1)
			return
		}
	}
}

// scrapeComplete scrapes once. It returns whether a response started, and an error if it is
// incomplete.
func (r *instance) scrapeComplete() (started bool, err error) {
	request, err := http.NewRequest(http.MethodGet, r.URL+"/metrics", nil)
	if err != nil {
		return false, err
	}
	var first atomic.Bool
	trace := &httptrace.ClientTrace{GotFirstResponseByte: func() { first.Store(true) }}
	response, err := r.Client.Do(request.WithContext(httptrace.WithClientTrace(request.Context(), trace)))
	if err != nil {
		return first.Load(), err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if text := string(body); err == nil && (response.StatusCode != http.StatusOK || !strings.HasSuffix(text, "\n") ||
		!strings.Contains(text, "\nnamedprocess_exporter_scrape_success ")) {
		err = fmt.Errorf("%s, %d bytes", response.Status, len(body))
	}
	return true, err
}

// TestStopWithSilentClients stops an exporter that has clients without a complete request. It must
// not wait for them.
func TestStopWithSilentClients(t *testing.T) {
	eachSource(t, stopWithSilentClients)
}

func stopWithSilentClients(t *testing.T, source string) {
	rounds := 1
	if chaos {
		rounds = 20
	}
	for range rounds {
		r := startSource(t, strings.TrimPrefix(source, "--source="))
		before, sent := r.resources().connections, []string{"", "GET /met", "GET /metrics HTTP/1.1\r\nHost: localhost\r\n"}
		for _, text := range sent {
			fmt.Fprint(r.dial(), text)
		}
		testenv.WaitFor(t, "the connections", func() bool { return r.resources().connections >= before+len(sent) })
		r.stopAtOnce()
	}
}

// TestStopWithSilentTLSClients is TestStopWithSilentClients with TLS: clients without a handshake, without
// a request, and with a connection of HTTP/2.
func TestStopWithSilentTLSClients(t *testing.T) {
	dir := t.TempDir()
	writeCertificate(t, dir)
	web := filepath.Join(dir, "web.yml")
	if err := os.WriteFile(web, []byte("tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := startListening(t, withListener([]string{"--web.config.file", web})...)
	before := r.resources().connections
	r.dial()
	sent := map[string]string{
		"": "http/1.1", "GET /metrics HTTP/1.1\r\nHost: localhost\r\n": "http/1.1", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n": "h2",
	}
	for text, protocol := range sent {
		conn := tls.Client(r.dial(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}})
		if _, err := conn.Write([]byte(text)); err != nil { // after the handshake
			t.Fatal(err)
		}
	}
	testenv.WaitFor(t, "the connections", func() bool { return r.resources().connections >= before+1+len(sent) })
	r.stopAtOnce()
}

// stopAtOnce stops the exporter, which must not wait for clients.
func (r *instance) stopAtOnce() {
	r.t.Helper()
	start := time.Now()
	status := r.Stop()
	took := time.Since(start)
	r.t.Logf("exited within %v", took)
	if status != 0 || checkTimes && took > 100*time.Millisecond {
		r.t.Errorf("got exit status %d within %v, want 0 within 100ms", status, took)
	}
	if log := strings.Join(r.Log(), "\n"); strings.Contains(log, "aborted") {
		r.t.Errorf("got aborted requests: %s", log)
	}
}

// TestStopFinishesScrape sends SIGTERM while a scrape waits for an unresponsive process. The response
// must be complete.
func TestStopFinishesScrape(t *testing.T) {
	rounds := 3
	if chaos {
		rounds = 100
	}
	for range rounds {
		tree := procfstree.New(t, 1000)
		for pid := 10; pid < 20; pid++ {
			tree.Set(procfstree.Process{PID: pid, Comm: "p", Args: []string{"x"}, Start: 5})
		}
		r := startExporter(t, "--procfs", tree.Root)
		path := filepath.Join(tree.Root, "15", "stat")
		if err := errors.Join(os.Remove(path), unix.Mkfifo(path, 0o600)); err != nil {
			t.Fatal(err)
		}
		body := make(chan string)
		go func() {
			response, err := r.Client.Get(r.URL + "/metrics")
			if err != nil {
				body <- err.Error()
				return
			}
			defer response.Body.Close()
			text, err := io.ReadAll(response.Body)
			if err != nil {
				body <- err.Error()
				return
			}
			body <- string(text)
		}()
		writer := -1
		testenv.WaitFor(t, "the scrape to open the file", func() bool {
			fd, err := unix.Open(path, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
			writer = fd
			return err == nil
		})
		status := r.Stop()
		_ = unix.Close(writer)
		if text := <-body; status != 0 || !strings.Contains(text, `num_procs{groupname="p"} 10`) ||
			!strings.Contains(text, "namedprocess_exporter_scrape_success") {
			t.Errorf("got exit status %d and response %.300q, want 0 and all processes", status, text)
		}
	}
}

// TestSecondSignal stops an exporter during a long request, a CPU profile of a minute.
func TestSecondSignal(t *testing.T) {
	for _, second := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(second.String(), func(t *testing.T) { checkSecondSignal(t, second) })
	}
}

func checkSecondSignal(t *testing.T, second syscall.Signal) {
	r := startExporter(t, "-web.pprof-address=127.0.0.1:0")
	r.refused = true // a profile reads the build ID at the end of the program file
	metrics := r.URL
	if response, _ := r.Get(pprofPath); response.StatusCode != http.StatusNotFound {
		t.Errorf("got %s for profiles at the address of the metrics, want 404", response.Status)
	}
	r.URL = r.profiles()
	if response, _ := r.Get("/metrics"); response.StatusCode != http.StatusNotFound {
		t.Errorf("got %s for metrics at the address of the profiles, want 404", response.Status)
	}
	fmt.Fprint(r.dial(), "GET /debug/pprof/profile?seconds=60 HTTP/1.1\r\nHost: localhost\r\n\r\n")
	testenv.WaitFor(t, "the profile to start", func() bool {
		_, stacks := r.Get("/debug/pprof/goroutine?debug=2")
		return strings.Contains(stacks, "net/http/pprof.Profile(")
	})
	r.URL = metrics
	r.Signal(syscall.SIGTERM)
	r.waitForLog("stopping")
	r.Signal(syscall.SIGHUP) // does not count as a second stop signal
	r.Signal(second)
	if status := r.Wait(); status != 1 {
		t.Errorf("got exit status %d, want 1", status)
	}
	r.waitForLog("second signal")
}
