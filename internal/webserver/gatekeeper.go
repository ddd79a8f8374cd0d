package webserver

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"
)

const (
	// maxComparing is how many passwords wait to be compared. One comparison
	// takes a core for as long as the hash was made to: a twentieth of a second.
	maxComparing = 16

	// maxComparingPerHost keeps the room for clients on other hosts than the one
	// that guesses.
	maxComparingPerHost = 4

	// guessRest is how many times as long as a wrong password took to compare
	// nothing is compared then. Guessing so takes a fifth of a core at most,
	// whoever does it, and however many.
	guessRest = 4

	// maxKnown is how many right passwords are remembered.
	maxKnown = 64
)

// A gatekeeper knows who has said the right password. To compare one is made
// expensive so that guessing takes long; that must not let guessers take the
// core that scrapes need. The right ones are remembered, as keyed digests, and
// wrong ones can push none out.
type gatekeeper struct {
	secret  [sha256.Size]byte
	compare func(hash, password []byte) error
	rest    func(time.Duration)

	turn chan struct{} // holds one, of who compares, and while guessing rests

	mu      sync.Mutex // guards what follows
	known   map[[sha256.Size]byte]bool
	waiting map[string]int // by host
	total   int
}

func newGatekeeper() *gatekeeper {
	k := &gatekeeper{
		compare: bcrypt.CompareHashAndPassword, rest: time.Sleep, turn: make(chan struct{}, 1),
		known: make(map[[sha256.Size]byte]bool), waiting: make(map[string]int),
	}
	_, _ = rand.Read(k.secret[:]) // never fails
	return k
}

// A verdict is what a gatekeeper says.
type verdict int

const (
	stranger verdict = iota
	welcome
	tooBusy // come again
)

// judge says whether the sender of r is one of users, whose hashes are given.
func (k *gatekeeper) judge(r *http.Request, users map[string][]byte) verdict {
	user, password, given := r.BasicAuth()
	if !given {
		return stranger
	}
	hash, exists := users[user]
	if !exists {
		// An unknown user takes as long as a known one, lest names can be told.
		for _, hash = range users {
			break
		}
	}
	key := k.digest(user, hash, password)
	k.mu.Lock()
	known := k.known[key]
	k.mu.Unlock()
	if known && exists {
		return welcome
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	if !k.enter(host) {
		return tooBusy
	}
	defer k.leave(host)
	return k.decide(r.Context(), key, hash, password, exists)
}

// decide compares a password when its turn comes, if its sender still waits then.
func (k *gatekeeper) decide(ctx context.Context, key [sha256.Size]byte, hash []byte, password string, exists bool) verdict {
	select {
	case k.turn <- struct{}{}:
	case <-ctx.Done():
		return tooBusy
	}
	start := time.Now()
	err := k.compare(hash, []byte(password))
	if err == nil && exists {
		<-k.turn
		k.remember(key)
		return welcome
	}
	took := time.Since(start)
	go func() { // the guesser itself has its answer
		k.rest(guessRest * took)
		<-k.turn
	}()
	return stranger
}

func (k *gatekeeper) digest(user string, hash []byte, password string) (sum [sha256.Size]byte) {
	mac := hmac.New(sha256.New, k.secret[:])
	for _, part := range [][]byte{[]byte(user), hash, []byte(password)} {
		length := [4]byte{byte(len(part) >> 24), byte(len(part) >> 16), byte(len(part) >> 8), byte(len(part))}
		mac.Write(length[:])
		mac.Write(part)
	}
	mac.Sum(sum[:0])
	return sum
}

func (k *gatekeeper) remember(key [sha256.Size]byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.known) >= maxKnown {
		clear(k.known) // hashes have been replaced that often
	}
	k.known[key] = true
}

// enter takes a place among those that wait, if there is one.
func (k *gatekeeper) enter(host string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.total >= maxComparing || k.waiting[host] >= maxComparingPerHost {
		return false
	}
	k.total++
	k.waiting[host]++
	return true
}

func (k *gatekeeper) leave(host string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.total--
	if k.waiting[host]--; k.waiting[host] == 0 {
		delete(k.waiting, host)
	}
}
