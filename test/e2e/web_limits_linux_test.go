package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/testdata/proctree"
)

// chaos is set by `make chaos`: full loads, against the binary that
// users run, with its promised times. Otherwise loads are small and brief, and
// only what holds at any speed is asked.
var chaos = os.Getenv("PROCESS_EXPORTER_CHAOS") != ""

// chaosTime is how long each kind of abuse goes on then, and guessTime how long
// passwords are guessed.
const chaosDuration, guessDuration = 10 * time.Second, time.Minute

// raced is set by PROCESS_EXPORTER_RACE: with the race detector, under the loads of
// the tests that otherwise do without it. An exporter with it is slow and large, so
// that nothing is asked about time and memory.
var raceDetector = os.Getenv("PROCESS_EXPORTER_RACE") != ""

// timed says that the promised times and sizes are asked for.
var checkTimes = chaos && !raceDetector

// plainBinary builds the exporter without the race detector, as users have it,
// unless PROCESS_EXPORTER_RACE asks for it.
var plainBinary = sync.OnceValues(func() (string, error) {
	if raceDetector {
		return binary, nil
	}
	path := filepath.Join(filepath.Dir(binary), "plain")
	build := exec.Command("go", "build", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return path, nil
})

// underAbuse starts the exporter that is to be abused.
func startForClients(t *testing.T, args ...string) *instance {
	t.Helper()
	if !chaos {
		return startExporter(t, args...)
	}
	path, err := plainBinary()
	if err != nil {
		t.Fatal(err)
	}
	r := startCommand(t, exec.Command(path, withListener(args)...))
	eventually(t, "a listener", func() bool { r.checkRunning(); return len(r.addresses()) > 0 })
	r.URL = "http://" + r.addresses()[0]
	return r
}

// An abuse is what testdata/hostileclients does to the exporter, and with how many
// clients.
type clientLoad struct {
	kind      string
	clients   int
	megabytes int // that the exporter may grow by meanwhile
}

var clientLoads = []clientLoad{
	{"slowloris", 5000, 32}, {"idle", 5000, 32}, {"bodies", 500, 32}, {"slowreaders", 500, 32},
	{"burst", 2000, 32}, {"aborts", 1000, 32}, {"differently", 200, 64}, {"greedy", 500, 32}, {"reports", 500, 32},
	{"details", 500, 32}, {"untiring", 100, 32},
}

var buildHostileClients = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(binary), "hostileclients")
	if out, err := exec.Command("go", "build", "-o", path, "./testdata/hostileclients").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return path, nil
})

// begin starts the clients and returns how to stop them. They run with the
// least priority, since real ones have machines of their own.
func (a clientLoad) begin(t *testing.T, address string) (stop func()) {
	t.Helper()
	path, err := buildHostileClients()
	if err != nil {
		t.Fatal(err)
	}
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

// TestHostileClients scrapes beside clients of each hostile kind. Every scrape has to
// succeed, and afterwards the exporter must be as it was.
func TestHostileClients(t *testing.T) {
	for _, a := range clientLoads {
		t.Run(a.kind, func(t *testing.T) { scrapeDuring(t, startForClients(t), a, nil) })
	}
}

// TestPasswordGuessing has guessers beside a scraper that knows the password.
func TestPasswordGuessing(t *testing.T) {
	config := writeFile(t, "web.yml", "basic_auth_users: {alice: '"+defaultCostHash+"'}\n")
	r := startForClientsWithPassword(t, "-web.config.file", config)
	scrapeDuring(t, r, clientLoad{"guess", 100, 32}, func(request *http.Request) { request.SetBasicAuth("alice", password) })
}

// usualHash is of the same password, with the cost that tools use.
const defaultCostHash = "$2a$10$Ty.QQ6tfW7FjNkuDcIlqoeTLt/cxLwuYhXEMj9.R6JDBoiQ0xJrAu"

// launchAbused is underAbuse for an exporter that asks for a password.
func startForClientsWithPassword(t *testing.T, args ...string) *instance {
	t.Helper()
	if chaos {
		return startForClients(t, args...)
	}
	return startListening(t, withListener(args)...)
}

// A holdings is what an exporter holds on to.
type resources struct {
	files, connections, residentKB int
	links                          []string // what the files are
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

// scrapeBeside scrapes while something goes on, once before and once after.
func scrapeDuring(t *testing.T, r *instance, a clientLoad, prepare func(*http.Request)) {
	t.Helper()
	scrape := func() (time.Duration, error) {
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
	for range 3 {
		if _, err := scrape(); err != nil {
			t.Fatal(err)
		}
	}
	perScrape := r.cpuPerCall(scrape)
	before := r.resources()
	cpu := r.cpu()
	start := time.Now()
	stop := a.begin(t, strings.TrimPrefix(r.URL, "http://"))
	var times []time.Duration
	worst := before
	lasts := time.Second
	switch {
	case chaos && a.kind == "guess":
		lasts = guessDuration
	case chaos:
		lasts = chaosDuration
	}
	for time.Since(start) < lasts || len(times) < 5 {
		took, err := scrape()
		if err != nil {
			t.Errorf("scrape %d: %v", len(times), err)
		}
		times = append(times, took)
		now := r.resources()
		worst.files, worst.connections = max(worst.files, now.files), max(worst.connections, now.connections)
		worst.residentKB = max(worst.residentKB, now.residentKB)
		time.Sleep(20 * time.Millisecond) // the rhythm of the scraper
	}
	used, passed := r.cpu()-cpu, time.Since(start)
	stop()
	ended := time.Now()
	beside := (used - time.Duration(len(times))*perScrape).Seconds() / passed.Seconds()
	slices.Sort(times)
	p99 := times[len(times)*99/100]
	t.Logf("%d scrapes, p50 %v, p99 %v, worst %v; %.0f%% of a core, %.0f%% beside the scrapes; files %d, at worst %d, connections %d; RSS %+d KiB",
		len(times), times[len(times)/2], p99, times[len(times)-1], 100*used.Seconds()/passed.Seconds(), 100*beside,
		before.files, worst.files, worst.connections, worst.residentKB-before.residentKB)
	if worst.connections-before.connections > 128+1 {
		t.Errorf("got %d connections, want at most 128", worst.connections-before.connections)
	}
	if checkTimes && (p99 > time.Second || worst.residentKB-before.residentKB > a.megabytes<<10 || used > passed) {
		t.Error("that is too slow or too much")
	}
	// A fifth of a core compares passwords, see internal/webserver/basic_auth.go; what is left
	// turns away those that wait for no turn.
	if chaos && a.kind == "guess" && beside > 0.5 {
		t.Error("guessing takes too much")
	}
	after := before
	eventually(t, "files and memory as before", func() bool {
		after = r.resources()
		return after.files <= before.files && (!checkTimes || after.residentKB <= before.residentKB+retainedKB)
	}, func() string {
		return fmt.Sprintf("%q and %d KiB, want %q and %d KiB", after.links, after.residentKB, before.links, before.residentKB)
	})
	if back := time.Since(ended); chaos && back > 10*time.Second {
		t.Errorf("files and memory were back after %v", back)
	} else {
		t.Logf("files and memory were back after %v", back.Round(time.Millisecond))
	}
}

// stays is how many kilobytes of memory an exporter that was abused may keep, as one
// does that has been scraped for a while.
const retainedKB = 8 << 10

// costOf returns the CPU time that the exporter takes for something, where it is to
// be known well.
func (r *instance) cpuPerCall(what func() (time.Duration, error)) time.Duration {
	r.t.Helper()
	if !chaos {
		return 0
	}
	const times = 200
	before := r.cpu()
	for range times {
		if _, err := what(); err != nil {
			r.t.Fatal(err)
		}
	}
	return (r.cpu() - before) / times
}

// TestConcurrentScrapesShareWalks counts the walks that many clients cause. One process of the
// file system that is read is such that each walk counts it once, as an error.
func TestConcurrentScrapesShareWalks(t *testing.T) {
	processes := 200
	if chaos {
		processes = 3000 // for walks to take long
	}
	tree := proctree.New(t, 1000)
	for pid := 2; pid < processes; pid++ {
		tree.Set(proctree.Process{PID: pid, Comm: "p", Args: []string{"x"}, Start: 5})
	}
	tree.Set(proctree.Process{PID: 1, Comm: "broken", Args: []string{"x"}, Start: 5, Broken: []string{"stat"}})
	for _, a := range clientLoads {
		if a.kind != "burst" && a.kind != "aborts" && a.kind != "differently" {
			continue
		}
		t.Run(a.kind, func(t *testing.T) {
			r := startForClients(t, "--source=procfs", "--procfs", tree.Root)
			count := func() (walks, answers, took float64) {
				series, _ := parseMetrics(t, r.Scrape())
				return series["namedprocess_scrape_procread_errors{}"], series[`promhttp_metric_handler_requests_total{code="200"}`], series["namedprocess_exporter_scrape_duration_seconds{}"]
			}
			walks, answers, _ := count()
			if again, _, _ := count(); again != walks+1 {
				t.Fatalf("got %v walks counted after %v and one more", again, walks)
			}
			begun := time.Now()
			stop := a.begin(t, strings.TrimPrefix(r.URL, "http://"))
			lasts := time.Second
			if chaos {
				lasts = chaosDuration
			}
			var seen, mine float64
			for time.Since(begun) < lasts || mine < 5 {
				_, _, took := count()
				seen += took
				mine++
				time.Sleep(20 * time.Millisecond) // the rhythm of the scraper
			}
			last, answered, _ := count()
			passed := time.Since(begun).Seconds()
			stop()
			walks, answers = last-walks, answered-answers
			busy := walks * seen / mine
			t.Logf("%.0f walks for %.0f answers in %.1f s; a walk takes %.1f ms, all of them %.2f s", walks, answers, passed, 1e3*seen/mine, busy)
			if walks > answers+maxUnanswered || a.kind == "burst" && walks > mine+maxUnanswered+(answers-mine)/2 {
				t.Errorf("got %v walks for %v answers, of which %v are ours", walks, answers, mine)
			}
			// Beyond a second's worth scrapes run for half of the time: serving/pace.go.
			if chaos && busy > 1.25+passed/2 {
				t.Errorf("walks took %.2f s of %.1f", busy, passed)
			}
		})
	}
}

// maxUnanswered is how many walks may be for clients that have hung up, or wait still.
const maxUnanswered = 4

// cpu returns the CPU time that the exporter has used.
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
