package webserver

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"
)

const (
	// maxPending is the number of requests that wait for a password comparison.
	// With the usual bcrypt cost, one comparison takes 50 ms of CPU time.
	maxPending = 16

	// maxPendingPerHost leaves room for hosts other than one that guesses.
	maxPendingPerHost = 4

	// failureDelayFactor is the pause after a failed comparison, as a multiple of
	// its duration. It limits guessing to a fifth of one core, for all clients
	// together.
	failureDelayFactor = 4

	// maxVerified is the number of correct credentials that are cached.
	maxVerified = 64
)

// An authenticator checks basic authentication. bcrypt makes a comparison
// expensive to slow down guessing; the authenticator keeps guessing from using
// the CPU time that scrapes need. It caches correct credentials as keyed digests.
// Wrong credentials are not cached and cannot evict correct ones.
type authenticator struct {
	secret  [sha256.Size]byte // key of the digests
	compare func(hash, password []byte) error
	sleep   func(time.Duration)

	comparing chan struct{} // semaphore of size 1: held during a comparison and the pause after a failure

	mu       sync.Mutex // guards the fields below
	verified map[[sha256.Size]byte]bool
	pending  map[string]int // number of waiting requests by host
	total    int            // number of waiting requests
}

func newAuthenticator() *authenticator {
	a := &authenticator{
		compare: bcrypt.CompareHashAndPassword, sleep: time.Sleep, comparing: make(chan struct{}, 1),
		verified: make(map[[sha256.Size]byte]bool), pending: make(map[string]int),
	}
	_, _ = rand.Read(a.secret[:]) // never fails since Go 1.24
	return a
}

// An authResult is the result of an authentication.
type authResult int

const (
	authFailed authResult = iota
	authOK
	authBusy // too many comparisons are pending; the client may retry
)

// authenticate checks the credentials of r against users, a map from names to
// bcrypt hashes.
func (a *authenticator) authenticate(r *http.Request, users map[string][]byte) authResult {
	user, password, ok := r.BasicAuth()
	if !ok {
		return authFailed
	}
	hash, exists := users[user]
	if !exists {
		hash = a.dummyHash(user, users)
	}
	key := a.digest(user, hash, password)
	a.mu.Lock()
	verified := a.verified[key]
	a.mu.Unlock()
	if verified && exists {
		return authOK
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	if !a.addPending(host) {
		return authBusy
	}
	defer a.removePending(host)
	return a.verify(r.Context(), attempt{key, hash, password, exists})
}

// dummyHash returns the hash to compare with for an unknown user name: the hash of a configured user,
// so that the response time does not reveal which names exist. Hashes can have different costs, so
// it always returns the same hash for the same name.
func (a *authenticator) dummyHash(user string, users map[string][]byte) []byte {
	names := slices.Sorted(maps.Keys(users))
	sum := a.digest(user, nil, "")
	return users[names[binary.BigEndian.Uint32(sum[:])%uint32(len(names))]]
}

// An attempt is a login to verify.
type attempt struct {
	key        [sha256.Size]byte // of the cache
	hash       []byte            // of the password, or a dummy if the user does not exist
	password   string
	userExists bool
}

// verify waits for its turn and compares the password, unless the client
// disconnects first.
func (a *authenticator) verify(ctx context.Context, try attempt) authResult {
	select {
	case a.comparing <- struct{}{}:
	case <-ctx.Done():
		return authBusy
	}
	start := time.Now()
	err := a.compare(try.hash, []byte(try.password))
	if err == nil && try.userExists {
		<-a.comparing
		a.cache(try.key)
		return authOK
	}
	took := time.Since(start)
	go func() { // the pause delays the next comparison, not this response
		a.sleep(failureDelayFactor * took)
		<-a.comparing
	}()
	return authFailed
}

// digest returns an HMAC of the length-prefixed arguments.
func (a *authenticator) digest(user string, hash []byte, password string) (sum [sha256.Size]byte) {
	mac := hmac.New(sha256.New, a.secret[:])
	for _, part := range [][]byte{[]byte(user), hash, []byte(password)} {
		length := [4]byte{byte(len(part) >> 24), byte(len(part) >> 16), byte(len(part) >> 8), byte(len(part))}
		mac.Write(length[:])
		mac.Write(part)
	}
	mac.Sum(sum[:0])
	return sum
}

func (a *authenticator) cache(key [sha256.Size]byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.verified) >= maxVerified {
		clear(a.verified) // most entries are of hashes that have been replaced
	}
	a.verified[key] = true
}

// addPending registers a waiting request of host. It returns false if a limit is
// reached.
func (a *authenticator) addPending(host string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.total >= maxPending || a.pending[host] >= maxPendingPerHost {
		return false
	}
	a.total++
	a.pending[host]++
	return true
}

func (a *authenticator) removePending(host string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.total--
	if a.pending[host]--; a.pending[host] == 0 {
		delete(a.pending, host)
	}
}
