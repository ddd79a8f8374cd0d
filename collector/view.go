package collector

import (
	"context"
	"time"

	"github.com/seed57308aee/process_exporter/grouping"
)

// A View is what one walk found. Nothing changes it any more.
type View struct {
	Time     time.Time // when the walk ended
	Took     time.Duration
	Err      error            // why there are no groups
	Groups   []grouping.Group // by name
	Labels   []string         // the names of the labels that groups have beside groupname
	Health   grouping.Health
	Coverage grouping.Coverage
}

// Watch hands every walk that ends from now on to see, in their order. It must be
// called before the first scrape; see must not wait.
func (c *Collector) Watch(see func(View)) { c.see = append(c.see, see) }

// Walk waits for the walk that runs, or for one that it starts, but no longer
// than ctx.
func (c *Collector) Walk(ctx context.Context) { c.join(ctx) }

// show hands a walk that is done to who watches.
func (c *Collector) show(w *walk) {
	for _, see := range c.see {
		see(View{
			Time: time.Now(), Took: w.took, Err: w.err,
			Groups: w.groups, Labels: w.labels, Health: w.health, Coverage: w.coverage,
		})
	}
}
