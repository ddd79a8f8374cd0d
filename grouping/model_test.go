package grouping

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	modelSeeds   = flag.Int("model.seeds", 200, "number of models of TestModel")
	modelUpdates = flag.Int("model.updates", 100, "updates of each model of TestModel")
	modelSeed    = flag.Uint64("model.seed", 0, "first seed of TestModel; 0 is the time")
)

// modelRules are the configurations of a model. A reload changes from one to another.
var modelRules = []string{
	`- {name: ign, comm: [ign], ignore: true}
- {name: exp, comm: [exp], expect: {min: 1}}
- {name: '{{.Comm}}', comm: [a, b, c]}
`, `- {name: exp, comm: [exp], expect: {min: 1}, top: 2}
- {name: a, comm: [a], threads: false}
- {name: '{{.Comm}}', comm: [b, c], top: 2}
`, `- {name: a, comm: [a]}
- {name: exp, comm: [exp], expect: {min: 1}}
`, `- {name: exp, comm: [exp], expect: {min: 1}}
- {name: 'title {{.Matches.n}}', cmdline: ['title (?P<n>\d)']}
- {name: '{{.Comm}}', comm: [a, b, x], threads: false}
`, `- {name: exp, comm: [exp], expect: {min: 1}}
- {name: '{{.Comm}}', comm: [a, b, c], labels: {first: '{{.ExeBase}}'}}
`, `- {name: exp, comm: [exp], expect: {min: 1}}
- {name: '{{.Comm}}', comm: [a, b, c, y], max_groups: 1}
`,
}

// The rules with labels and with a group limit.
const (
	modelLabels = 4
	modelLimit  = 5
)

// A model is a world with a Tracker and a ledger.
type model struct {
	world  *modelWorld
	ledger *modelLedger
	rules  []Matcher
	last   map[string]Counters // by name of the group
	starts map[*groupState]int64

	traffic      map[string]uint64 // sent bytes by name of the group
	unattributed uint64
	seen         map[*groupState]bool // all groups so far
}

// newModel returns a model whose options are in the bits of e.
func newModel(e modelEvent) *model {
	w := newModelWorld(e.a&1 != 0)
	o := replayOptions
	o.Collectors |= CollectorStates
	o.Children, o.Recheck, o.RemoveEmpty = e.a&2 != 0, e.a&4 != 0, e.a&8 != 0
	if e.a&16 != 0 {
		o.RecheckLimit = 10 * time.Second
	}
	if e.a&128 != 0 {
		o.MatchBudget, o.CPUTime = 3, w.cpuTime
	}
	if w.procfs && e.a&32 != 0 {
		o.MaxGroups = 3
	}
	if e.b&64 != 0 {
		o.MaxThreadNames = 4
	}
	m := &model{world: w, last: make(map[string]Counters), starts: make(map[*groupState]int64), seen: make(map[*groupState]bool)}
	for i, rules := range modelRules {
		if i == modelLabels && (o.RemoveEmpty || o.MaxGroups > 0) || i == modelLimit && !w.procfs {
			continue // the ledger does not know which groups the names had
		}
		matcher, err := Parse("model.yaml", []byte("process_names:\n"+rules))
		if err != nil {
			panic(err)
		}
		m.rules = append(m.rules, matcher)
	}
	if e.a&64 != 0 {
		o.Collectors |= CollectorThreads
	}
	if e.b&128 == 0 {
		o.Sockets = &w.net
	}
	src := &modelSource{modelWorld: w}
	if w.bpf {
		src.ready = make(chan struct{})
	}
	tr := NewTracker(src, m.rules[int(e.b)%len(m.rules)], o)
	m.ledger = &modelLedger{Tracker: tr, src: src, groups: make(map[string]*ledgerTotals), missing: make(map[*modelProcess]bool)}
	m.ledger.known, m.ledger.removed = make(map[*groupState]bool), make(map[*groupState]bool)
	m.ledger.threadNames = make(map[*namedThreads]*groupState)
	return m
}

// play makes events happen and returns the first difference to the ledger.
func play(events []modelEvent) error {
	if len(events) == 0 {
		return nil
	}
	m := newModel(events[0])
	for i, e := range events[1:] {
		if err := m.step(e); err != nil {
			return fmt.Errorf("event %d: %w", i+1, err)
		}
	}
	for range 3 { // a process can be identified twice
		if err := m.step(modelEvent{kind: eventSettle}); err != nil {
			return fmt.Errorf("at the end: %w", err)
		}
	}
	return m.checkAllRead()
}

func (m *model) step(e modelEvent) error {
	switch e.kind {
	case eventSettle:
		m.world.makeAllReadable()
		return m.update()
	case eventUpdate:
		return m.update()
	}
	m.world.apply(e)
	return nil
}

// update updates the Tracker and compares its groups with the ledger.
func (m *model) update() error {
	w, l := m.world, m.ledger
	if w.walks%4 != 0 { // else processes can start in the clock tick of the walk
		w.now++
	}
	if w.reload >= 0 {
		l.SetMatcher(m.rules[w.reload%len(m.rules)])
		clear(m.starts) // groups with other labels may be merged
		w.reload = -1
	}
	fails := w.walkFails
	groups, err := l.Update(context.Background())
	w.walkFails, w.identitiesFail, w.partial, w.settled = false, false, -1, false
	if fails {
		if !errors.Is(err, errModel) {
			return fmt.Errorf("got error %v, want %v", err, errModel)
		}
		return nil
	}
	if err != nil {
		return err
	}
	if w.walks == 1 {
		l.began = w.now
	}
	m.observeRemoved()
	l.observe()
	w.walks++
	w.lastNow = w.now
	for _, p := range w.processes {
		p.lower, p.missed = 0, false
	}
	w.now += 100
	return errors.Join(m.checkGroups(groups), m.checkGauges(groups), m.checkState(), m.checkStarts(), m.checkSockets(groups))
}

// randomEvents returns a model with random events and a number of updates.
func randomEvents(seed uint64, updates int) []modelEvent {
	r := rand.New(rand.NewPCG(seed, 0))
	next := func(kind int) modelEvent { return modelEvent{uint8(kind), uint8(r.Uint32()), uint8(r.Uint32())} }
	events := []modelEvent{next(0)}
	for range updates {
		for range r.IntN(6) {
			kind := r.IntN(eventSettle)
			if r.IntN(3) == 0 {
				kind = eventWork
			}
			events = append(events, next(kind))
		}
		if r.IntN(20) == 0 {
			events = append(events, next(eventSettle))
		}
		events = append(events, next(eventUpdate))
	}
	return events
}

// shrink removes events that are not necessary for an error.
func shrink(events []modelEvent) []modelEvent {
	for size := len(events) / 2; size > 0; {
		removed := false
		for at := 1; at+size <= len(events); {
			fewer := slices.Delete(slices.Clone(events), at, at+size)
			if play(fewer) == nil {
				at += size
				continue
			}
			events, removed = fewer, true
		}
		if !removed || size > 1 {
			size /= 2
		}
	}
	return events
}

// report fails the test with the shortest events that cause an error.
func report(t *testing.T, events []modelEvent, seed uint64) {
	t.Helper()
	short := shrink(events)
	var text strings.Builder
	for _, e := range short {
		fmt.Fprintf(&text, "{%d, %d, %d},\n", e.kind, e.a, e.b)
	}
	t.Errorf("-model.seed=%d -model.seeds=1 -model.updates=%d: %v\n%d events:\n%s",
		seed, *modelUpdates, play(short), len(short), text.String())
}

// TestModel compares the Tracker with an exact ledger in random orders of events: usage
// counts once, no counter falls, and the state of the Tracker does not grow.
func TestModel(t *testing.T) {
	seed := *modelSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-model.seed=%d -model.seeds=%d -model.updates=%d", seed, *modelSeeds, *modelUpdates)
	for i := range *modelSeeds {
		seed := seed + uint64(i)
		if events := randomEvents(seed, *modelUpdates); play(events) != nil {
			report(t, events, seed)
			return
		}
	}
}

// FuzzModel plays events that the fuzzer chooses.
func FuzzModel(f *testing.F) {
	for seed := range uint64(3) {
		var data []byte
		for _, e := range randomEvents(seed, 20) {
			data = append(data, e.kind, e.a, e.b)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var events []modelEvent
		for ; len(data) >= 3 && len(events) < 3000; data = data[3:] {
			events = append(events, modelEvent{data[0] % eventKinds, data[1], data[2]})
		}
		if err := play(events); err != nil {
			t.Error(err)
		}
	})
}

// sortedNames returns the sorted keys of a map.
func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
