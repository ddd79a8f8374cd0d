package webserver

import (
	"net/http"
	"runtime"
	"time"
)

// An accessHandler applies the web configuration to each request: headers, rate
// limit and basic authentication. It delays requests while many arrive.
type accessHandler struct {
	web  *WebConfig
	auth *authenticator
	next http.Handler
	pace pacer
}

// ServeHTTP implements [http.Handler].
func (h *accessHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := h.web.get()
	for name, value := range c.headers {
		w.Header().Set(name, value)
	}
	// Yield, so that pipelining clients cannot starve scrapes. A hundred such
	// clients, at 10 ms per request, otherwise delay a scrape by seconds.
	runtime.Gosched()
	delay := h.pace.delay()
	if conn := trackedConnOf(r); conn != nil && conn.limiter.contended() {
		w.Header().Set("Connection", "close")
		delay = 0 // other connections wait for the place of this one
	}
	sleep(r.Context(), delay)
	if r.ContentLength != 0 {
		// No handler reads a body. Waiting for one, even to discard it, would let
		// a slow sender keep the connection.
		w.Header().Set("Connection", "close")
		_ = http.NewResponseController(w).SetReadDeadline(time.Now())
	}
	if c.rateLimiter != nil && !c.rateLimiter.Allow() {
		sendStatus(w, http.StatusTooManyRequests)
		return
	}
	if len(c.users) > 0 {
		switch h.auth.authenticate(r, c.users) {
		case authFailed:
			w.Header().Set("WWW-Authenticate", "Basic")
			sendStatus(w, http.StatusUnauthorized)
			return
		case authBusy:
			w.Header().Set("Retry-After", "1")
			sendStatus(w, http.StatusTooManyRequests)
			return
		}
	}
	h.next.ServeHTTP(w, r)
}

func sendStatus(w http.ResponseWriter, status int) { http.Error(w, http.StatusText(status), status) }
