package webserver

import (
	"net/http"
	"runtime"
	"time"
)

// A door lets requests in as the web configuration says.
type door struct {
	web    *WebConfig
	keeper *gatekeeper
	next   http.Handler
}

// ServeHTTP implements [http.Handler].
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := d.web.get()
	for name, value := range c.headers {
		w.Header().Set(name, value)
	}
	// Who sends many requests at once gets each answer when it is its turn. Otherwise
	// a hundred such clients, at ten milliseconds each, keep a scrape waiting for seconds.
	runtime.Gosched()
	if from := clientOf(r); from != nil && from.set.crowded() {
		w.Header().Set("Connection", "close")
	}
	if r.ContentLength != 0 {
		// Nothing here takes a body. To wait for one, were it only to throw it
		// away, would be a favour to who sends it slowly.
		w.Header().Set("Connection", "close")
		_ = http.NewResponseController(w).SetReadDeadline(time.Now())
	}
	if c.limiter != nil && !c.limiter.Allow() {
		refuse(w, http.StatusTooManyRequests)
		return
	}
	if len(c.users) > 0 {
		switch d.keeper.judge(r, c.users) {
		case stranger:
			w.Header().Set("WWW-Authenticate", "Basic")
			refuse(w, http.StatusUnauthorized)
			return
		case tooBusy:
			w.Header().Set("Retry-After", "1")
			refuse(w, http.StatusTooManyRequests)
			return
		}
	}
	d.next.ServeHTTP(w, r)
}

func refuse(w http.ResponseWriter, status int) { http.Error(w, http.StatusText(status), status) }
