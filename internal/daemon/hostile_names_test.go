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

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/promslog"

	"github.com/seed57308aee/process_exporter/collector"
	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/internal/config"
	"github.com/seed57308aee/process_exporter/platform"
)

// hostileNames is how many names TestHostileNames has, unless the environment
// says otherwise in HOSTILE_NAMES; at most perRound of them live at a time.
const (
	hostileNames = 20_000
	perRound     = 4_000
)

// A crowd is a Source of processes that never lived. One of them has a name of
// its own as the name of a thread, too.
type crowd struct {
	platform.Source
	names []hostile
	first int // PID
}

// A hostile is the name that a process is to have, and what it is called for it.
type hostile struct {
	name     string
	identity platform.Identity
}

// hostileKinds are the words that a name may come from. ways returns what a process
// of that name may be called.
var hostileKinds = []struct {
	kind, rules string
	ways        func(r *rand.Rand, name string) platform.Identity
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

func (c *crowd) Walk(_ context.Context, snap *platform.Snapshot) error {
	want := make(map[int]platform.Fields, len(snap.Samples))
	for _, s := range snap.Samples {
		want[s.PID] = s.Want
	}
	*snap = platform.Snapshot{Now: 1e6, TicksPerSecond: 100, Source: string(platform.KindProcfs)}
	const have = platform.FieldStat | platform.FieldStatus | platform.FieldIO | platform.FieldFDs
	for i := range c.names {
		pid, name := c.first+i, c.names[i].identity.Comm
		s := platform.Sample{ID: platform.ID{PID: pid, Start: 1}, Want: want[pid], Have: have, State: 'S', EUID: uint32(pid), Comm: name, Threads: 1, UserNanos: 1e9, ResidentBytes: 4096}
		if i%50 == 0 {
			const of = platform.FieldStatus | platform.FieldTaskUsage
			s.Have, s.Threads = s.Have|platform.FieldTasks|platform.FieldTaskUsage, 2
			s.Tasks = []platform.Task{{TID: pid, State: 'S', Have: of, Comm: "main", Start: 1}, {TID: 1e8 + pid, State: 'S', Have: of, Comm: name, Start: 1}}
		}
		snap.Samples = append(snap.Samples, s)
	}
	return nil
}

func (c *crowd) Complete(context.Context, *platform.Snapshot) {}

func (c *crowd) Identify(_ context.Context, s *platform.Sample, _ platform.IdentityFields) (platform.Identity, error) {
	id := c.names[s.PID-c.first].identity
	id.ID, id.EUID = s.ID, s.EUID
	return id, nil
}

func (c *crowd) Fingerprints(context.Context, *platform.Snapshot, []int, platform.IdentityFields, []uint64) {
}

func (c *crowd) ExitIdentity(*platform.Exit, platform.IdentityFields) platform.Identity {
	return platform.Identity{}
}

func (c *crowd) Kind() (platform.Kind, error) { return platform.KindProcfs, nil }

func (c *crowd) ExitsPending() <-chan struct{} { return nil }

// hostileParts are what breaks parsers, terminals, pages and queries.
var hostileParts = []string{
	"", " ", "\n", "\r", "\t", "\\", "\\n", `"`, `\"`, "'", "`", "{", "}", "=", ",", "#", "# HELP x", "# EOF", "\n# EOF\n", "NaN", "+Inf", "1e309",
	"_other", "__name__", "groupname", "(", ")", ")) S 1 1", "\x1b[2J", "\x1b]0;x\a", "\x00", "\x01", "\x7f", "\x80", "\xff", "\xc0\xaf", "\xed\xa0\x80",
	"\xf4\x90\x80\x80", "\u2028", "\ufeff", "\ufffd", "\ufffd5f", "\u202e", "é", "e\u0301", "日本", "🦀", "<script>", "&lt;", "{{.Comm}}", "%s", "$1", "../..",
}

// hostileName returns a name made from such parts and of any bytes, mostly as
// short as the kernel has them, sometimes longer than what a label keeps.
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

// hostileRound returns different names, the hostile parts by themselves first. Those
// that can be long are now and then of 100 kB that differ in the end.
func hostileRound(r *rand.Rand, size, kind int) (names []hostile) {
	ways := hostileKinds[kind].ways
	seen := make(map[string]bool)
	add := func(name string) {
		if !seen[name] {
			seen[name] = true
			names = append(names, hostile{name, ways(r, name)})
		}
	}
	for _, name := range hostileParts {
		add(name)
	}
	for i := 0; kind > 0 && i < 10; i++ {
		add(strings.Repeat([]string{"w", "\xff", "é", " "}[i%4], 100_000) + strconv.Itoa(i))
	}
	for len(names) < size {
		add(hostileName(r))
	}
	return names
}

// TestHostileNames sends names that nobody should have, from all that names are made
// of, through everything up to the answers in each format, and reads those with the parsers of Prometheus. Each
// name has a group of its own, and none is the exporter's.
func TestHostileNames(t *testing.T) {
	total := hostileNames
	if text := os.Getenv("HOSTILE_NAMES"); text != "" {
		var err error
		if total, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	parser := startParser(t)
	s := parse(t, "--max-groups=0", "--max-thread-names=0", "--remove-empty-groups", "--web.disable-exporter-metrics")
	log := promslog.NewNopLogger()
	sources, handlers := make([]*crowd, len(hostileKinds)), make([]*metrics, len(hostileKinds))
	for i, k := range hostileKinds {
		rules, err := grouping.Parse("names.yaml", []byte("process_names: ["+k.rules+"]\n"))
		if err != nil {
			t.Fatal(err)
		}
		sources[i] = &crowd{first: 10}
		tracker := NewTracker(s, sources[i], config.Rules{Matcher: rules})
		handlers[i] = newMetrics(s, log, collector.New(collector.Options{Tracker: tracker, Logger: log}), nil)
	}
	random := rand.New(rand.NewPCG(1, 2))
	series, kind := 0, 0
	for done := 0; done < total; done += perRound {
		source := sources[kind]
		source.names, source.first = hostileRound(random, perRound, kind), source.first+perRound
		series += checkHostile(t, handlers[kind], parser, source.names)
		if t.Failed() {
			t.Fatalf("names of %s, in the round after %d", hostileKinds[kind].kind, done)
		}
		kind = (kind + 1) % len(hostileKinds)
	}
	t.Logf("%d names, %d series read in each of three formats", total, series)
}

// checkHostile scrapes in each format and returns the number of series.
func checkHostile(t *testing.T, handler *metrics, parser *answerParser, names []hostile) int {
	t.Helper()
	text, before := 0, 0
	eventually(t, "the names of all", func() bool { // for which a busy machine takes several scrapes
		contentType, body := scrapeAs(t, handler, expfmt.TypeTextPlain)
		text, before = parser.count(t, contentType, body), text
		return text == before
	})
	contentType, body := scrapeAs(t, handler, expfmt.TypeProtoDelim)
	checkGroups(t, strings.NewReader(body), names)
	proto := parser.count(t, contentType, body)
	contentType, body = asOpenMetrics(t, handler)
	open := parser.count(t, contentType, body)
	if text != proto || text != open {
		t.Errorf("got %d series as text, %d as protobuf, %d as OpenMetrics", text, proto, open)
	}
	return text
}

// scrapeAs asks for a format, and returns the type and the text of the answer.
func scrapeAs(t *testing.T, metrics http.Handler, format expfmt.FormatType) (contentType, body string) {
	t.Helper()
	request := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	request.Header.Set("Accept", string(expfmt.NewFormat(format)))
	answer := httptest.NewRecorder()
	metrics.ServeHTTP(answer, request)
	contentType = answer.Header().Get("Content-Type")
	if answer.Code != http.StatusOK || expfmt.Format(contentType).FormatType() != format {
		t.Fatalf("asked for %s: got %d, %s", expfmt.NewFormat(format), answer.Code, contentType)
	}
	return contentType, answer.Body.String()
}

// asOpenMetrics returns the same in a format that the exporter does not offer,
// since it would rename four counters that have no _total; proxies translate to it.
func asOpenMetrics(t *testing.T, handler *metrics) (contentType, body string) {
	t.Helper()
	families, err := handler.rendered.Gatherer(t.Context()).Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	encoder := expfmt.NewEncoder(&text, expfmt.NewFormat(expfmt.TypeOpenMetrics))
	for _, family := range families {
		if err := encoder.Encode(family); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := expfmt.FinalizeOpenMetrics(&text); err != nil {
		t.Fatal(err)
	}
	return string(expfmt.NewFormat(expfmt.TypeOpenMetrics)), text.String()
}

// checkGroups holds that each name has a group of its own with one process in it.
func checkGroups(t *testing.T, body io.Reader, names []hostile) {
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
				t.Errorf("group %q has %v processes", name, m.GetGauge().GetValue())
			}
			groups[name] = true
		}
	}
	for _, reserved := range grouping.ReservedNames {
		if groups[reserved] {
			t.Errorf("a process has taken the name %q", reserved)
		}
	}
	if len(groups) != len(names) {
		t.Errorf("got %d groups of %d names", len(groups), len(names))
	}
}

// An answerParser is a program that reads answers with Prometheus' own parsers.
// It is a module of its own, since nothing else of ours needs those.
type answerParser struct {
	to   io.Writer
	from *bufio.Reader
}

func startParser(t *testing.T) *answerParser {
	t.Helper()
	program := filepath.Join(t.TempDir(), "textparse")
	build := exec.Command(requireProgram(t, "go"), "build", "-o", program, ".")
	build.Dir = filepath.Join("..", "..", "testdata", "textparse")
	if out, err := build.CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%v: %s", err, out)
		}
		t.Skipf("Prometheus' parsers cannot be built here: %s", out)
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
		_ = to.Close() // which ends it
		_ = command.Wait()
	})
	return &answerParser{to, bufio.NewReader(from)}
}

// count returns how many series the parser finds in an answer.
func (p *answerParser) count(t *testing.T, contentType, body string) int {
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
