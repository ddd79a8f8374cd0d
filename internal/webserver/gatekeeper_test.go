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
)

func askAs(host, user, password string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.RemoteAddr = host + ":1"
	if user != "" {
		r.SetBasicAuth(user, password)
	}
	return r
}

var oneUser = map[string][]byte{"alice": []byte("hash of right")}

// plainKeeper compares without cost: the password after "hash of ".
func plainKeeper() (k *gatekeeper, compared *atomic.Int32) {
	k, compared = newGatekeeper(), new(atomic.Int32)
	k.rest = func(time.Duration) {}
	k.compare = func(hash, password []byte) error {
		compared.Add(1)
		if string(hash) != "hash of "+string(password) {
			return errors.New("wrong")
		}
		return nil
	}
	return k, compared
}

func TestGatekeeper(t *testing.T) {
	tests := []struct {
		name, user, password string
		want                 verdict
	}{
		{"right", "alice", "right", welcome},
		{"wrong", "alice", "left", stranger},
		{"nobody", "", "", stranger},
		{"another name with the right password", "bob", "right", stranger},
		{"no password", "alice", "", stranger},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k, _ := plainKeeper()
			for range 2 { // the second time from memory, if at all
				if got := k.judge(askAs("10.0.0.1", tt.user, tt.password), oneUser); got != tt.want {
					t.Errorf("got %v, want %v", got, tt.want)
				}
			}
		})
	}
}

// TestGatekeeperRemembers holds that no number of guesses makes the exporter
// forget who was right, and that a new hash does.
func TestGatekeeperRemembers(t *testing.T) {
	k, compared := plainKeeper()
	k.judge(askAs("10.0.0.1", "alice", "right"), oneUser)
	for i := range 10 * maxKnown {
		k.judge(askAs("10.0.0.2", "alice", fmt.Sprint(i)), oneUser)
	}
	before := compared.Load()
	if k.judge(askAs("10.0.0.1", "alice", "right"), oneUser) != welcome || compared.Load() != before {
		t.Error("the right password was compared again")
	}
	changed := map[string][]byte{"alice": []byte("hash of other")}
	if got := k.judge(askAs("10.0.0.1", "alice", "right"), changed); got != stranger {
		t.Errorf("got %v for a password that is not right any more", got)
	}
}

// TestGatekeeperIsBounded has more guessers than may wait. One comparison runs
// at a time, the rest are turned away, and a client on another host still finds
// a place.
func TestGatekeeperIsBounded(t *testing.T) {
	k, _ := plainKeeper()
	release := make(chan struct{})
	var running, most atomic.Int32
	plain := k.compare
	k.compare = func(hash, password []byte) error {
		most.Store(max(most.Load(), running.Add(1)))
		defer running.Add(-1)
		<-release
		return plain(hash, password)
	}
	var busy, rest atomic.Int32
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if k.judge(askAs("10.0.0.2", "alice", "guess"), oneUser) == tooBusy {
				busy.Add(1)
			} else {
				rest.Add(1)
			}
		})
	}
	eventually(t, "guessers to be turned away", func() bool { return busy.Load() == 100-maxComparingPerHost })
	good := make(chan verdict)
	go func() { good <- k.judge(askAs("10.0.0.1", "alice", "right"), oneUser) }()
	close(release)
	if got := <-good; got != welcome {
		t.Errorf("got %v for the right password beside guessers", got)
	}
	all.Wait()
	if most.Load() != 1 || rest.Load() != maxComparingPerHost {
		t.Errorf("got %d comparisons at a time and %d in all, want 1 and %d", most.Load(), rest.Load(), maxComparingPerHost)
	}
}

// TestGuessingRests holds that after a wrong password nothing is compared for a
// multiple of the time that took.
func TestGuessingRests(t *testing.T) {
	k, _ := plainKeeper()
	rested := make(chan time.Duration, 1)
	proceed := make(chan struct{})
	k.rest = func(d time.Duration) { rested <- d; <-proceed }
	start := time.Now()
	k.judge(askAs("10.0.0.2", "alice", "guess"), oneUser)
	if d := <-rested; d <= 0 || d > guessRest*time.Since(start) {
		t.Errorf("got a rest of %v", d)
	}
	if len(k.turn) == 0 {
		t.Error("another password may be compared during the rest")
	}
	close(proceed)
	eventually(t, "the end of the rest", func() bool { return len(k.turn) == 0 })
}

// TestGuesserHangsUp holds that who has gone while others had their turn is not
// waited for, nor is the password compared.
func TestGuesserHangsUp(t *testing.T) {
	k, compared := plainKeeper()
	k.turn <- struct{}{}
	gone, hangUp := context.WithCancel(t.Context())
	said := make(chan verdict)
	go func() { said <- k.judge(askAs("10.0.0.2", "alice", "guess").WithContext(gone), oneUser) }()
	eventually(t, "the guesser to wait", func() bool { k.mu.Lock(); defer k.mu.Unlock(); return k.total == 1 })
	hangUp()
	if got := <-said; got == welcome || compared.Load() != 0 || k.total != 0 {
		t.Errorf("got %v, %d comparisons and %d who wait", got, compared.Load(), k.total)
	}
}
