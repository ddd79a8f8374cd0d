package daemon

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/promslog"

	"github.com/seed57308aee/process_exporter/collector"
	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/internal/config"
	"github.com/seed57308aee/process_exporter/platform"
)

// hostileNames is the number of names in TestHostileNames. The environment
// variable HOSTILE_NAMES overrides it. At most namesPerRound exist at a time.
const (
	hostileNames  = 20_000
	namesPerRound = 4_000
)

// namedSource is a Source of processes with given names. Every 50th process has a
// thread with the same name.
type namedSource struct {
	platform.Source
	names []namedIdentity
	first int // PID of names[0]
}

// namedIdentity is a group name, and the identity of a process that gets it.
type namedIdentity struct {
	name     string
	identity platform.Identity
}

// nameOrigins are the identity fields that a group name may come from. identify
// returns an identity that gets the name.
var nameOrigins = []struct {
	field, rules string
	identify     func(r *rand.Rand, name string) platform.Identity
}{
	{"comm", "{name: '{{.Comm}}', cmdline: ['(?s).*']}", func(_ *rand.Rand, name string) platform.Identity {
		return platform.Identity{Comm: name, Args: []string{name}}
	}},
	{"arguments", "{name: '{{.Matches.all}}', cmdline: ['(?s)^(?P<all>.*)$']}", func(r *rand.Rand, name string) platform.Identity {
		args := strings.Split(name, " ")
		if r.IntN(2) == 0 {
			args = []string{name}
		}
		if name == "" && r.IntN(2) == 0 {
			args = nil
		}
		return platform.Identity{Comm: "c", Args: args}
	}},
	{"first argument", "{name: '{{.ExeFull}}', cmdline: ['(?s).*']}", func(r *rand.Rand, name string) platform.Identity {
		args := []string{name, "", "\n", "\xff", hostileName(r)}
		return platform.Identity{Comm: "c", Args: args[:1+r.IntN(len(args))]}
	}},
	{"user", "{name: '{{.Username}}', cmdline: ['(?s).*']}", func(r *rand.Rand, name string) platform.Identity {
		return platform.Identity{Comm: "c", Args: []string{hostileName(r)}, Username: name}
	}},
}

func (c *namedSource) Walk(_ context.Context, snap *platform.Snapshot) error {
	want := make(map[int]platform.Fields, len(snap.Samples))
	for _, s := range snap.Samples {
		want[s.PID] = s.Want
	}
	*snap = platform.Snapshot{Now: 1e6, TicksPerSecond: 100, Kind: platform.SourceProcfs}
	const have = platform.FieldStat | platform.FieldStatus | platform.FieldIO | platform.FieldFDs
	for i := range c.names {
		pid, name := c.first+i, c.names[i].identity.Comm
		s := platform.Sample{ID: platform.ID{PID: pid, Start: 1}, Want: want[pid], Have: have, State: 'S', EUID: uint32(pid), Comm: name,
			NumThreads: 1, UserNanos: 1e9, ResidentBytes: 4096}
		if i%50 == 0 {
			const of = platform.FieldStatus | platform.FieldTaskUsage
			s.Have, s.NumThreads = s.Have|platform.FieldTasks|platform.FieldTaskUsage, 2
			s.Tasks = []platform.Task{
				{TID: pid, State: 'S', Have: of, Comm: "main", Start: 1},
				{TID: 1e8 + pid, State: 'S', Have: of, Comm: name, Start: 1},
			}
		}
		snap.Samples = append(snap.Samples, s)
	}
	return nil
}

func (c *namedSource) Complete(context.Context, *platform.Snapshot) {}

func (c *namedSource) Identify(_ context.Context, s *platform.Sample, _ platform.IdentityFields) (platform.Identity, error) {
	id := c.names[s.PID-c.first].identity
	id.ID, id.EUID = s.ID, s.EUID
	return id, nil
}

func (c *namedSource) Fingerprints(_ context.Context, _ *platform.Snapshot, indexes []int, _ platform.IdentityFields, _ []uint64) int {
	return len(indexes)
}

func (c *namedSource) ExitIdentity(*platform.Exit, platform.IdentityFields) platform.Identity {
	return platform.Identity{}
}

func (c *namedSource) Kind() (platform.SourceKind, error) { return platform.SourceProcfs, nil }

func (c *namedSource) ExitsReady() <-chan struct{} { return nil }

// hostileParts are texts that may break parsers, terminals, pages and queries.
var hostileParts = []string{
	"", " ", "\n", "\r", "\t", "\\", "\\n", `"`, `\"`, "'", "`", "{", "}", "=", ",", "#", "# HELP x", "# EOF", "\n# EOF\n",
	"NaN", "+Inf", "1e309",
	"_other", "__name__", "groupname", "(", ")", ")) S 1 1", "\x1b[2J", "\x1b]0;x\a",
	"\x00", "\x01", "\x7f", "\x80", "\xff", "\xc0\xaf", "\xed\xa0\x80",
	"\xf4\x90\x80\x80", "\u2028", "\ufeff", "\ufffd", "\ufffd5f", "\u202e",
	"é", "e\u0301", "日本", "🦀", "<script>", "&lt;", "{{.Comm}}", "%s", "$1", "../..",
}

// hostileName returns a name of hostile parts and random bytes. Most are as short
// as names of the kernel, some are longer than the limit of labels.
func hostileName(r *rand.Rand) string {
	var b strings.Builder
	for range 1 + r.IntN(4) {
		switch r.IntN(3) {
		case 0:
			b.WriteString(hostileParts[r.IntN(len(hostileParts))])
		case 1:
			for range r.IntN(8) {
				b.WriteByte(byte(r.IntN(256)))
			}
		default:
			b.WriteRune(rune(r.IntN(0x110000)))
		}
	}
	if r.IntN(500) == 0 {
		b.WriteString(strings.Repeat("\xf0\x9f", 300+r.IntN(2)) + strconv.Itoa(r.IntN(100)))
	}
	return b.String()
}

// hostileRound returns distinct names, starting with the hostile parts. If the
// field can be long, some names have 100 kB and differ only at their end.
func hostileRound(r *rand.Rand, size, origin int) (names []namedIdentity) {
	identify := nameOrigins[origin].identify
	seen := make(map[string]bool)
	add := func(name string) {
		if !seen[name] {
			seen[name] = true
			names = append(names, namedIdentity{name, identify(r, name)})
		}
	}
	for _, name := range hostileParts {
		add(name)
	}
	for i := 0; origin > 0 && i < 10; i++ {
		add(strings.Repeat([]string{"w", "\xff", "é", " "}[i%4], 100_000) + strconv.Itoa(i))
	}
	for len(names) < size {
		add(hostileName(r))
	}
	return names
}

// TestHostileNames creates groups with invalid and unusual names from each origin,
// scrapes them in each format, and parses the responses with the parsers of
// Prometheus. Each name must be a separate group, and none a reserved name.
func TestHostileNames(t *testing.T) {
	total := hostileNames
	if text := os.Getenv("HOSTILE_NAMES"); text != "" {
		var err error
		if total, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	parser := startParser(t)
	s := parse(t, "--max-groups=0", "--max-thread-names=0", "--match-budget=0s", "--remove-empty-groups", "--web.disable-exporter-metrics")
	log := promslog.NewNopLogger()
	sources, handlers := make([]*namedSource, len(nameOrigins)), make([]*metricsHandler, len(nameOrigins))
	for i, o := range nameOrigins {
		rules, err := grouping.Parse("names.yaml", []byte("process_names: ["+o.rules+"]\n"))
		if err != nil {
			t.Fatal(err)
		}
		sources[i] = &namedSource{first: 10}
		tracker := NewTracker(s, Sources{Processes: sources[i]}, config.Rules{Matcher: rules})
		handlers[i] = newMetricsHandler(s, log, collector.New(collector.Options{Tracker: tracker, Logger: log}), nil, allCollectors)
	}
	random := rand.New(rand.NewPCG(1, 2))
	series, origin := 0, 0
	for done := 0; done < total; done += namesPerRound {
		source := sources[origin]
		source.names, source.first = hostileRound(random, namesPerRound, origin), source.first+namesPerRound
		series += checkHostile(t, handlers[origin], parser, source.names)
		if t.Failed() {
			t.Fatalf("failed for names from %s, after %d names", nameOrigins[origin].field, done)
		}
		origin = (origin + 1) % len(nameOrigins)
	}
	t.Logf("%d names, %d series in each of three formats", total, series)
}

// checkHostile scrapes in each format and returns the number of series.
func checkHostile(t *testing.T, handler *metricsHandler, parser *responseParser, names []namedIdentity) int {
	t.Helper()
	text, before := 0, 0
	testenv.WaitFor(t, "all names", func() bool { // several scrapes on a busy machine
		contentType, body := scrapeAs(t, handler, expfmt.TypeTextPlain, "")
		text, before = parser.count(t, contentType, body), text
		return text == before
	})
	contentType, body := scrapeAs(t, handler, expfmt.TypeProtoDelim, "")
	checkGroups(t, strings.NewReader(body), names)
	proto := parser.count(t, contentType, body)
	contentType, body = scrapeAs(t, handler, expfmt.TypeOpenMetrics, ",text/plain;q=0.5")
	open := parser.count(t, contentType, body)
	contentType, body = scrapeAs(t, handler, expfmt.TypeOpenMetrics, "")
	if created := parser.count(t, contentType, body); created <= open {
		t.Errorf("got %d series as OpenMetrics with start times, want more than %d", created, open)
	}
	if text != proto || text != open {
		t.Errorf("got %d series as text, %d as protobuf, %d as OpenMetrics, want equal numbers", text, proto, open)
	}
	return text
}

// scrapeAs requests a format. others are further formats that the client accepts. It
// returns the content type and the body.
func scrapeAs(t *testing.T, handler http.Handler, format expfmt.FormatType, others string) (contentType, body string) {
	t.Helper()
	request := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	request.Header.Set("Accept", string(expfmt.NewFormat(format))+others)
	response := httptest.NewRecorder()
	handler.ServeHTTP(response, request)
	contentType = response.Header().Get("Content-Type")
	if response.Code != http.StatusOK || expfmt.Format(contentType).FormatType() != format {
		t.Fatalf("got %d, %s, want 200, %s", response.Code, contentType, expfmt.NewFormat(format))
	}
	return contentType, response.Body.String()
}

// checkGroups checks that each name is a group with one process.
func checkGroups(t *testing.T, body io.Reader, names []namedIdentity) {
	t.Helper()
	decoder := expfmt.NewDecoder(body, expfmt.NewFormat(expfmt.TypeProtoDelim))
	groups := make(map[string]bool)
	for {
		var family dto.MetricFamily
		if err := decoder.Decode(&family); err != nil {
			if !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			break
		}
		if family.GetName() != "namedprocess_namegroup_num_procs" {
			continue
		}
		for _, m := range family.Metric {
			name := m.Label[0].GetValue()
			if m.GetGauge().GetValue() != 1 {
				t.Errorf("group %q: got %v processes, want 1", name, m.GetGauge().GetValue())
			}
			groups[name] = true
		}
	}
	for _, reserved := range grouping.ReservedNames {
		if groups[reserved] {
			t.Errorf("got a group with the reserved name %q, want none", reserved)
		}
	}
	if len(groups) != len(names) {
		t.Errorf("got %d groups, want %d", len(groups), len(names))
	}
}

// A responseParser is a program that parses responses with the parsers of
// Prometheus. It is a separate module, because only this test needs them.
type responseParser struct {
	to   io.Writer
	from *bufio.Reader
}

func startParser(t *testing.T) *responseParser {
	t.Helper()
	program := filepath.Join(t.TempDir(), "textparse")
	build := exec.Command(testenv.RequireProgram(t, "go"), "build", "-o", program, ".")
	build.Dir = filepath.Join("..", "..", "testdata", "textparse")
	if out, err := build.CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%v: %s", err, out)
		}
		t.Skipf("cannot build the parsers of Prometheus: %s", out)
	}
	command := exec.Command(program)
	command.Stderr = os.Stderr
	to, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	from, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = to.Close() // ends the program
		_ = command.Wait()
	})
	return &responseParser{to, bufio.NewReader(from)}
}

// count returns the number of series in a response.
func (p *responseParser) count(t *testing.T, contentType, body string) int {
	t.Helper()
	if _, err := fmt.Fprintf(p.to, "%s\n%d\n%s", contentType, len(body), body); err != nil {
		t.Fatal(err)
	}
	line, err := p.from.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	series, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatalf("%s: %s", contentType, line)
	}
	return series
}
