package webserver

import (
	"net/http"
	"runtime"
	"time"
)

// An accessHandler applies the web configuration to each request: headers, client
// certificates, basic authentication and rate limit. It delays requests while many arrive.
type accessHandler struct {
	web   *WebConfig
	auth  *authenticator
	next  http.Handler
	pacer requestPacer
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
	delay := h.pacer.delay()
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
	if !h.verifiedByTLS(c, w, r) {
		sendStatus(w, http.StatusForbidden)
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
	// After authentication, so that other clients do not use up the rate of the scraper.
	if c.rateLimiter != nil && !c.rateLimiter.Allow() {
		sendStatus(w, http.StatusTooManyRequests)
		return
	}
	h.next.ServeHTTP(w, r)
}

// verifiedByTLS reports whether c accepts the certificate of the client. The TLS handshake has
// verified it with the configuration of that time. If this is another one, the connection is
// closed after the response.
func (h *accessHandler) verifiedByTLS(c *webSettings, w http.ResponseWriter, r *http.Request) bool {
	conn := trackedConnOf(r)
	if conn == nil || r.TLS == nil || conn.tls == c.tls {
		return true
	}
	w.Header().Set("Connection", "close")
	if err := verifyClient(c.tls, r.TLS); err != nil {
		h.web.log.Debug("client certificate refused after a reload", "addr", r.RemoteAddr, "err", err)
		return false
	}
	return true
}

func sendStatus(w http.ResponseWriter, status int) { http.Error(w, http.StatusText(status), status) }
