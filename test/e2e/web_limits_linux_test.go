package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/test/procfstree"
	"github.com/seed57308aee/process_exporter/test/testenv"
)

// chaosDuration is the duration of each client load under make chaos, and guessDuration that of
// password guessing.
const chaosDuration, guessDuration = 10 * time.Second, time.Minute

// startForClients starts the exporter for a client load.
func startForClients(t *testing.T, args ...string) *instance {
	t.Helper()
	if !chaos {
		return startExporter(t, args...)
	}
	path := plainBinary(t)
	r := startCommand(t, exec.Command(path, withListener(args)...))
	testenv.WaitFor(t, "a listener", func() bool { r.checkRunning(); return len(r.addresses()) > 0 })
	r.URL = "http://" + r.addresses()[0]
	return r
}

// A clientLoad is a kind of client in testdata/hostileclients, and the number of clients.
type clientLoad struct {
	kind      string
	clients   int
	megabytes int // allowed growth of the exporter
}

var clientLoads = []clientLoad{
	{"slowloris", 5000, 32}, {"idle", 5000, 32}, {"bodies", 500, 32}, {"slowreaders", 500, 32},
	{"burst", 2000, 32}, {"aborts", 1000, 32}, {"unique", 200, 64}, {"pipelined", 500, 32}, {"reports", 500, 32},
	{"details", 500, 32}, {"continuous", 100, 32},
}

// start starts the clients and returns a function that stops them. They run with the lowest priority,
// because real clients use other machines.
func (a clientLoad) start(t *testing.T, address string) (stop func()) {
	t.Helper()
	path := testenv.BuildGo(t, "hostileclients")
	clients := a.clients
	if !chaos {
		clients /= 10
	}
	command := exec.Command("nice", "-n", "19", path, a.kind, strconv.Itoa(clients), address)
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		_ = in.Close()
		if err := command.Wait(); err != nil {
			t.Errorf("hostileclients: %v", err)
		}
	}
}

// TestHostileClients scrapes while hostile clients of each kind run. Every scrape must succeed, and
// afterwards files and memory must be released.
func TestHostileClients(t *testing.T) {
	for _, a := range clientLoads {
		t.Run(a.kind, func(t *testing.T) { scrapeDuring(t, startForClients(t), a, nil) })
	}
}

// TestPasswordGuessing scrapes with the correct password while other clients guess passwords.
func TestPasswordGuessing(t *testing.T) {
	config := writeFile(t, "web.yml", "basic_auth_users: {alice: '"+defaultCostHash+"'}\n")
	r := startForClientsWithPassword(t, "-web.config.file", config)
	scrapeDuring(t, r, clientLoad{"guess", 100, 32}, func(request *http.Request) { request.SetBasicAuth("alice", password) })
}

// defaultCostHash is a hash of the same password with the default bcrypt cost.
const defaultCostHash = "$2a$10$Ty.QQ6tfW7FjNkuDcIlqoeTLt/cxLwuYhXEMj9.R6JDBoiQ0xJrAu"

// startForClientsWithPassword is like startForClients for an exporter that requires a password.
func startForClientsWithPassword(t *testing.T, args ...string) *instance {
	t.Helper()
	if chaos {
		return startForClients(t, args...)
	}
	return startListening(t, withListener(args)...)
}

// A resources holds the file descriptors and the memory of an exporter.
type resources struct {
	files, connections, residentKB int
	links                          []string // targets of the file descriptors
}

func (r *instance) resources() resources {
	r.t.Helper()
	var f resources
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", r.PID))
	if err != nil {
		r.t.Fatal(err)
	}
	f.files = len(entries)
	for _, e := range entries {
		to, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", r.PID, e.Name()))
		f.links = append(f.links, to)
		if strings.HasPrefix(to, "socket:") {
			f.connections++
		}
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.PID))
	if err != nil {
		r.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	_, _ = fmt.Sscan(rest, &f.residentKB)
	return f
}

// resourcesAtOnce returns the resources of one moment: it stops the exporter, whose file descriptors
// would get other targets between the reads of two of them.
func (r *instance) resourcesAtOnce() resources {
	r.t.Helper()
	r.Signal(syscall.SIGSTOP)
	defer r.Signal(syscall.SIGCONT)
	if err := unix.Waitid(unix.P_PID, r.PID, nil, unix.WSTOPPED, nil); err != nil { // until all threads have stopped
		r.t.Fatal(err)
	}
	return r.resources()
}

// scrapeOnce scrapes with a request that prepare, unless nil, changes. It returns the duration.
func (r *instance) scrapeOnce(prepare func(*http.Request)) (time.Duration, error) {
	request, err := http.NewRequest(http.MethodGet, r.URL+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	if prepare != nil {
		prepare(request)
	}
	start := time.Now()
	response, err := r.Client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && (response.StatusCode != 200 || !strings.Contains(string(body), "namedprocess_exporter_scrape_success 1")) {
		err = errors.New(response.Status)
	}
	return time.Since(start), err
}

// duration returns how long the clients run.
func (a clientLoad) duration() time.Duration {
	switch {
	case chaos && a.kind == "guess":
		return guessDuration
	case chaos:
		return chaosDuration
	}
	return time.Second
}

// scrapeDuring scrapes before, during and after a client load.
func scrapeDuring(t *testing.T, r *instance, a clientLoad, prepare func(*http.Request)) {
	t.Helper()
	for range 3 {
		if _, err := r.scrapeOnce(prepare); err != nil {
			t.Fatal(err)
		}
	}
	perScrape := r.cpuPerCall(func() (time.Duration, error) { return r.scrapeOnce(prepare) })
	before := r.resourcesAtOnce()
	cpu := r.cpu()
	start := time.Now()
	stop := a.start(t, strings.TrimPrefix(r.URL, "http://"))
	var times []time.Duration
	worst := before
	for time.Since(start) < a.duration() || len(times) < 5 {
		took, err := r.scrapeOnce(prepare)
		if err != nil {
			t.Errorf("scrape %d: %v", len(times), err)
		}
		times = append(times, took)
		now := r.resourcesAtOnce()
		worst.files, worst.connections = max(worst.files, now.files), max(worst.connections, now.connections)
		worst.residentKB = max(worst.residentKB, now.residentKB)
		time.Sleep(20 * time.Millisecond) // scrape interval
	}
	used, passed := r.cpu()-cpu, time.Since(start)
	stop()
	grown := worst.residentKB - before.residentKB
	withoutScrapes := (used - time.Duration(len(times))*perScrape).Seconds() / passed.Seconds()
	slices.Sort(times)
	p99 := times[len(times)*99/100]
	t.Logf("%d scrapes, p50 %v, p99 %v, slowest %v; %.0f%% of a core, %.0f%% without the scrapes; files %d, peak %d, "+
		"peak connections %d; RSS %+d KiB", len(times), times[len(times)/2], p99, times[len(times)-1],
		100*used.Seconds()/passed.Seconds(), 100*withoutScrapes, before.files, worst.files, worst.connections, grown)
	if worst.connections-before.connections > 128+1 {
		t.Errorf("got %d connections, want at most 128", worst.connections-before.connections)
	}
	if checkTimes && (p99 > time.Second || grown > a.megabytes<<10 || used > passed) {
		t.Error("got too much time or memory")
	}
	// Password comparisons use a fifth of a core, see internal/webserver/basic_auth.go. The rest
	// rejects requests that are not compared.
	if chaos && a.kind == "guess" && withoutScrapes > 0.5 {
		t.Error("got too much CPU time for guessed passwords")
	}
	r.checkReleased(before)
}

// checkReleased waits until the exporter has released the files and memory of a client load.
func (r *instance) checkReleased(before resources) {
	r.t.Helper()
	ended, after := time.Now(), before
	testenv.WaitFor(r.t, "the initial files and memory", func() bool {
		after = r.resources()
		return after.files <= before.files && (!checkTimes || after.residentKB <= before.residentKB+retainedKB)
	}, func() string {
		return fmt.Sprintf("%q and %d KiB, want %q and %d KiB", after.links, after.residentKB, before.links, before.residentKB)
	})
	if recovery := time.Since(ended); chaos && recovery > 10*time.Second {
		r.t.Errorf("got the initial files and memory after %v, want 10 s", recovery)
	} else {
		r.t.Logf("initial files and memory after %v", recovery.Round(time.Millisecond))
	}
}

// retainedKB is the memory in kilobytes that an exporter may keep after a client load, as after many
// scrapes.
const retainedKB = 8 << 10

// cpuPerCall returns the CPU time that the exporter uses for a call. It is 0 without make chaos.
func (r *instance) cpuPerCall(call func() (time.Duration, error)) time.Duration {
	r.t.Helper()
	if !chaos {
		return 0
	}
	const times = 200
	before := r.cpu()
	for range times {
		if _, err := call(); err != nil {
			r.t.Fatal(err)
		}
	}
	return (r.cpu() - before) / times
}

// TestConcurrentScrapesShareWalks counts the walks that many clients cause. Each walk counts one
// unreadable process as an error.
func TestConcurrentScrapesShareWalks(t *testing.T) {
	processes := 200
	if chaos {
		processes = 3000 // makes walks slow
	}
	tree := procfstree.New(t, 1000)
	for pid := 2; pid < processes; pid++ {
		tree.Set(procfstree.Process{PID: pid, Comm: "p", Args: []string{"x"}, Start: 5})
	}
	tree.Set(procfstree.Process{PID: 1, Comm: "broken", Args: []string{"x"}, Start: 5, Broken: []string{"stat"}})
	for _, a := range clientLoads {
		if a.kind != "burst" && a.kind != "aborts" && a.kind != "unique" {
			continue
		}
		t.Run(a.kind, func(t *testing.T) {
			r := startForClients(t, "--source=procfs", "--procfs", tree.Root)
			count := func() (walks, responses, took float64) {
				series, _ := parseMetrics(t, r.Scrape())
				return series["namedprocess_scrape_procread_errors{}"], series[`promhttp_metric_handler_requests_total{code="200"}`],
					series["namedprocess_exporter_scrape_duration_seconds{}"]
			}
			walks, responses, _ := count()
			if again, _, _ := count(); again != walks+1 {
				t.Fatalf("got %v walks, want one more than %v", again, walks)
			}
			start := time.Now()
			stop := a.start(t, strings.TrimPrefix(r.URL, "http://"))
			duration := time.Second
			if chaos {
				duration = chaosDuration
			}
			var walkTime, own float64
			for time.Since(start) < duration || own < 5 {
				_, _, took := count()
				walkTime += took
				own++
				time.Sleep(20 * time.Millisecond) // scrape interval
			}
			last, lastResponses, _ := count()
			passed := time.Since(start).Seconds()
			stop()
			walks, responses = last-walks, lastResponses-responses
			busy := walks * walkTime / own
			t.Logf("%.0f walks for %.0f responses in %.1f s; a walk takes %.1f ms, all of them %.2f s", walks, responses, passed,
				1e3*walkTime/own, busy)
			if walks > responses+maxUnanswered || a.kind == "burst" && walks > own+maxUnanswered+(responses-own)/2 {
				t.Errorf("got %v walks for %v responses, %v of them of this test", walks, responses, own)
			}
			// Beyond two seconds of CPU, each key of requests has one walk per second: see internal/webserver.
			if chaos && busy > 2.1+passed/2 {
				t.Errorf("got %.2f s of walks in %.1f s", busy, passed)
			}
		})
	}
}

// maxUnanswered is the number of walks for clients that have disconnected or still wait.
const maxUnanswered = 4

// cpu returns the CPU time of the exporter.
func (r *instance) cpu() time.Duration {
	r.t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.PID))
	if err != nil {
		r.t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}
