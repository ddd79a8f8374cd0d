package e2e

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestStopDuringScrapes sends SIGTERM at random moments of scrapes. Each scrape gets
// its whole answer or, if the exporter did not take its connection any more, none
// at all, and the exporter exits with 0.
func TestStopDuringScrapes(t *testing.T) {
	requireLinux(t)
	eachSource(t, testStopDuringScrapes)
}

func testStopDuringScrapes(t *testing.T, source string) {
	rounds := 4
	if chaos {
		rounds = 100
	}
	var all outcomes
	var worst time.Duration
	for i := range rounds {
		r := startSource(t, strings.TrimPrefix(source, "--source="))
		var signalled atomic.Bool
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { all.scrapeUntilExit(t, r, &signalled) })
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
			t.Errorf("round %d, after %v: got exit status %d in %v", i, moment, status, took)
		}
	}
	t.Logf("%d rounds: %d whole answers, in the middle of %d of which the signal came, %d connections not taken, none cut; stopped in %v at most",
		rounds, all.whole.Load(), all.met.Load(), all.refused.Load(), worst)
	if all.whole.Load() < int64(rounds) {
		t.Error("got fewer answers than rounds")
	}
	if chaos && all.met.Load() < int64(rounds) { // of three scrapes in each
		t.Error("got fewer scrapes that the signal came in the middle of than rounds")
	}
}

// outcomes counts how scrapes ended.
type outcomes struct {
	whole, refused atomic.Int64
	met            atomic.Int64 // whole answers that the signal came in the middle of
}

// scrapeUntilGone scrapes until the exporter takes no connection any more, which
// it has to before the signal. No answer may be cut.
func (o *outcomes) scrapeUntilExit(t *testing.T, r *instance, signalled *atomic.Bool) {
	for {
		before := !signalled.Load()
		begun, err := r.scrapeWhole()
		after := signalled.Load()
		switch {
		case err == nil:
			o.whole.Add(1)
			if before && after {
				o.met.Add(1)
			}
		case begun:
			t.Errorf("an answer was cut: %v", err)
			return
		case !after:
			t.Errorf("a connection was not taken before the signal: %v", err)
			return
		default:
			o.refused.Add(1)
			return
		}
	}
}

// scrapeWhole scrapes once, and returns whether an answer began, and what is wrong
// with it.
func (r *instance) scrapeWhole() (begun bool, err error) {
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
	if text := string(body); err == nil && (response.StatusCode != http.StatusOK || !strings.HasSuffix(text, "\n") || !strings.Contains(text, "\nnamedprocess_exporter_scrape_success ")) {
		err = fmt.Errorf("%s, %d bytes", response.Status, len(body))
	}
	return true, err
}

// TestSecondSIGTERM has a client that does not finish its request hold up the end of
// the exporter, which a second SIGTERM does not wait for.
func TestSecondSIGTERM(t *testing.T) {
	requireLinux(t)
	eachSource(t, testSecondSIGTERM)
}

func testSecondSIGTERM(t *testing.T, source string) {
	rounds := 2
	if chaos {
		rounds = 20
	}
	var worst time.Duration
	for range rounds {
		r := startSource(t, strings.TrimPrefix(source, "--source="))
		before := r.resources().connections
		fmt.Fprint(r.dial(), "GET /metrics HTTP/1.1\r\n")
		eventually(t, "the connection", func() bool { return r.resources().connections > before })
		r.Signal(syscall.SIGTERM)
		r.waitForLog("stopping")
		start := time.Now()
		status := r.Stop()
		took := time.Since(start)
		worst = max(worst, took)
		if status != 1 {
			t.Errorf("got exit status %d, want 1", status)
		}
		r.waitForLog("second signal")
	}
	t.Logf("%d rounds: ended in %v at most", rounds, worst)
	if checkTimes && worst > 100*time.Millisecond {
		t.Error("that is too slow")
	}
}
