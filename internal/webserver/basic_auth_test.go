package webserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

func requestFrom(host, user, password string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.RemoteAddr = host + ":1"
	if user != "" {
		r.SetBasicAuth(user, password)
	}
	return r
}

var oneUser = map[string][]byte{"alice": []byte("hash of right")}

// newTestAuthenticator returns an authenticator with a cheap comparison, which
// expects the hash to be "hash of " and the password, and the number of
// comparisons.
func newTestAuthenticator() (a *authenticator, comparisons *atomic.Int32) {
	a, comparisons = newAuthenticator(), new(atomic.Int32)
	a.sleep = func(time.Duration) {}
	a.compare = func(hash, password []byte) error {
		comparisons.Add(1)
		if string(hash) != "hash of "+string(password) {
			return errors.New("wrong password")
		}
		return nil
	}
	return a, comparisons
}

func TestAuthenticate(t *testing.T) {
	tests := []struct {
		name, user, password string
		want                 authResult
	}{
		{"correct", "alice", "right", authOK},
		{"wrong password", "alice", "left", authFailed},
		{"no credentials", "", "", authFailed},
		{"unknown user with a correct password", "bob", "right", authFailed},
		{"empty password", "alice", "", authFailed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, _ := newTestAuthenticator()
			for range 2 { // the second result may come from the cache
				if got := a.authenticate(requestFrom("10.0.0.1", tt.user, tt.password), oneUser); got != tt.want {
					t.Errorf("got %v, want %v", got, tt.want)
				}
			}
		})
	}
}

// TestAuthenticationCache requires that wrong passwords do not evict correct
// credentials from the cache, and that a new hash invalidates them.
func TestAuthenticationCache(t *testing.T) {
	a, comparisons := newTestAuthenticator()
	a.authenticate(requestFrom("10.0.0.1", "alice", "right"), oneUser)
	for i := range 10 * maxVerified {
		a.authenticate(requestFrom("10.0.0.2", "alice", fmt.Sprint(i)), oneUser)
	}
	before := comparisons.Load()
	if got := a.authenticate(requestFrom("10.0.0.1", "alice", "right"), oneUser); got != authOK || comparisons.Load() != before {
		t.Errorf("got %v and %d new comparisons, want %v from the cache", got, comparisons.Load()-before, authOK)
	}
	changed := map[string][]byte{"alice": []byte("hash of other")}
	if got := a.authenticate(requestFrom("10.0.0.1", "alice", "right"), changed); got != authFailed {
		t.Errorf("got %v for the old password, want %v", got, authFailed)
	}
}

// TestPendingLimits sends more wrong passwords than may wait. One comparison
// runs at a time, other requests of the host are rejected, and a client on
// another host is still served.
func TestPendingLimits(t *testing.T) {
	a, _ := newTestAuthenticator()
	release := make(chan struct{})
	var running, most atomic.Int32
	compare := a.compare
	a.compare = func(hash, password []byte) error {
		most.Store(max(most.Load(), running.Add(1)))
		defer running.Add(-1)
		<-release
		return compare(hash, password)
	}
	var busy, failed atomic.Int32
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if a.authenticate(requestFrom("10.0.0.2", "alice", "guess"), oneUser) == authBusy {
				busy.Add(1)
			} else {
				failed.Add(1)
			}
		})
	}
	testenv.WaitFor(t, "requests to be rejected", func() bool { return busy.Load() == 100-maxPendingPerHost })
	result := make(chan authResult)
	go func() { result <- a.authenticate(requestFrom("10.0.0.1", "alice", "right"), oneUser) }()
	close(release)
	if got := <-result; got != authOK {
		t.Errorf("got %v for the correct password from another host, want %v", got, authOK)
	}
	all.Wait()
	if most.Load() != 1 || failed.Load() != maxPendingPerHost {
		t.Errorf("got %d concurrent comparisons and %d failures, want 1 and %d", most.Load(), failed.Load(), maxPendingPerHost)
	}
}

// TestPauseAfterFailure requires that no comparison runs during the pause after
// a wrong password.
func TestPauseAfterFailure(t *testing.T) {
	a, _ := newTestAuthenticator()
	pause := make(chan time.Duration, 1)
	proceed := make(chan struct{})
	a.sleep = func(d time.Duration) { pause <- d; <-proceed }
	start := time.Now()
	a.authenticate(requestFrom("10.0.0.2", "alice", "guess"), oneUser)
	if d := <-pause; d <= 0 || d > failureDelayFactor*time.Since(start) {
		t.Errorf("got a pause of %v, want up to %d times the comparison", d, failureDelayFactor)
	}
	if len(a.comparing) == 0 {
		t.Error("the pause does not block the next comparison")
	}
	close(proceed)
	testenv.WaitFor(t, "the pause to end", func() bool { return len(a.comparing) == 0 })
}

// TestDisconnectWhilePending requires that the password of a disconnected client
// is not compared.
func TestDisconnectWhilePending(t *testing.T) {
	a, comparisons := newTestAuthenticator()
	a.comparing <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan authResult)
	go func() {
		result <- a.authenticate(requestFrom("10.0.0.2", "alice", "guess").WithContext(ctx), oneUser)
	}()
	testenv.WaitFor(t, "the request to wait", func() bool { a.mu.Lock(); defer a.mu.Unlock(); return a.total == 1 })
	cancel()
	if got := <-result; got == authOK || comparisons.Load() != 0 || a.total != 0 {
		t.Errorf("got %v, %d comparisons and %d pending, want no success and none", got, comparisons.Load(), a.total)
	}
}

// TestDummyHash checks that an unknown user name has the same hash in each comparison, as a known one
// has, and that all hashes are in use.
func TestDummyHash(t *testing.T) {
	a, _ := newTestAuthenticator()
	var compared string
	a.compare = func(hash, _ []byte) error { compared = string(hash); return errors.New("wrong password") }
	users := map[string][]byte{"alice": []byte("cheap"), "bob": []byte("expensive"), "carol": []byte("medium")}
	used := make(map[string]bool)
	for i := range 100 {
		user, first := fmt.Sprint("unknown", i), ""
		for attempt := range 10 {
			a.authenticate(requestFrom("10.0.0.1", user, fmt.Sprint("guess", attempt)), users)
			if first == "" {
				first = compared
			}
			if compared != first {
				t.Fatalf("got a comparison of %s with the hash %q after %q, want always the same", user, compared, first)
			}
		}
		used[first] = true
	}
	if len(used) != len(users) {
		t.Errorf("got comparisons with %d hashes, want all %d", len(used), len(users))
	}
}
