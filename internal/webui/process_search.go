package webui

import (
	"context"
	"time"

	"github.com/seed57308aee/process_exporter/grouping"
)

// find returns the state of a query that finds processes. It starts a walk at least minInterval after
// the last recorded walk, because each change of the text is another query. This walk is for all
// waiting requests. Others fail at once: they would keep connections that scrapes need.
func (r *Recorder) find(ctx context.Context, query grouping.ProcessQuery) (processRequest, error) {
	select {
	case r.searches <- struct{}{}:
		defer func() { <-r.searches }()
	default:
		return processRequest{}, errTooManyRequests
	}
	stored, err := r.wait(query)
	if err != nil {
		return processRequest{}, err
	}
	defer r.endWait(stored)
	r.recording(ctx)
	if q, _ := r.state(stored); q.list != nil {
		return q, nil
	}
	select {
	case r.searching <- struct{}{}:
		defer func() { <-r.searching }()
	case <-ctx.Done():
		return processRequest{}, ctx.Err()
	}
	for range 2 { // the first walk can have begun before the request
		q, updateEnd := r.state(stored)
		if q.list != nil {
			return q, nil
		}
		if r.sleep(ctx, minInterval-r.now().Sub(updateEnd)); ctx.Err() != nil {
			return q, ctx.Err()
		}
		r.walk(ctx)
	}
	q, _ := r.state(stored)
	if q.list == nil {
		return q, errNoWalk
	}
	return q, nil
}

// sleep waits for a time, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
