package webui

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"

	"github.com/seed57308aee/process_exporter/internal/httpgzip"
)

// leastZipped is how long a body is at least that is worth compressing.
const leastZipped = 1 << 10

// A body is what requests are answered with, complete before the first byte is sent.
// Nothing changes it.
type body struct {
	contentType   string
	plain, zipped []byte // zipped is nil if it is not worth it
}

func newBody(contentType string, plain []byte) *body {
	b := &body{contentType: contentType, plain: plain}
	if len(plain) < leastZipped {
		return b
	}
	var zipped bytes.Buffer
	z := httpgzip.NewWriter(&zipped)
	_, _ = z.Write(plain) // a bytes.Buffer returns no error
	_ = z.Close()
	b.zipped = zipped.Bytes()
	return b
}

// send answers with b, compressed for whom understands that. A client that hangs up
// meanwhile is no error.
func (b *body) send(w http.ResponseWriter, r *http.Request) {
	sent := b.plain
	w.Header().Set("Content-Type", b.contentType)
	if b.zipped != nil && httpgzip.Accepted(r.Header) {
		w.Header().Set("Content-Encoding", httpgzip.Encoding)
		sent = b.zipped
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(sent)))
	_, _ = w.Write(sent)
}

// A shared is the body that all who look between two walks are answered with. With
// thousands of groups it is megabytes long and takes a tenth of a second to make.
type shared struct {
	mu   sync.Mutex // held while it is made, guards what follows
	of   Exporter
	body *body
}

// all returns what all groups do, as JSON.
func (p *past) all(e Exporter) (*body, error) {
	p.shared.mu.Lock()
	defer p.shared.mu.Unlock()
	if p.shared.body != nil && p.shared.of == e {
		return p.shared.body, nil
	}
	made, err := jsonBody(p.report(e))
	if err != nil {
		return nil, err
	}
	p.shared.of, p.shared.body = e, made
	return made, nil
}

func jsonBody(r Report) (*body, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return newBody("application/json", text), nil
}
