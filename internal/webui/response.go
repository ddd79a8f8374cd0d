package webui

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"

	"github.com/seed57308aee/process_exporter/collector/httpgzip"
	"github.com/seed57308aee/process_exporter/internal/printable"
)

// minCompressedSize is the minimum size in bytes of a response that is worth
// compression.
const minCompressedSize = 1 << 10

// A response is an immutable response body. It is complete before the first byte
// is sent.
type response struct {
	contentType string
	identity    []byte
	zipped      func() []byte // nil below minCompressedSize
}

func newResponse(contentType string, text []byte) *response {
	b := &response{contentType: contentType, identity: text}
	if len(text) < minCompressedSize {
		return b
	}
	b.zipped = sync.OnceValue(func() []byte { // many responses are sent to no client, or to no browser
		var zipped bytes.Buffer
		z := httpgzip.NewWriter(&zipped)
		_, _ = z.Write(text) // a bytes.Buffer returns no error
		_ = z.Close()
		return zipped.Bytes()
	})
	return b
}

// send writes the response, compressed if the client accepts it. It ignores
// write errors: they mean that the client closed the connection.
func (b *response) send(w http.ResponseWriter, r *http.Request) {
	text := b.identity
	w.Header().Set("Content-Type", b.contentType)
	if b.zipped != nil && httpgzip.Accepted(r.Header) {
		w.Header().Set("Content-Encoding", httpgzip.Encoding)
		text = b.zipped()
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	_, _ = w.Write(text)
}

// A cachedResponse is the response with all groups that requests between two
// walks share. With thousands of groups it has megabytes and takes 0.1 s to
// encode.
type cachedResponse struct {
	mu       sync.Mutex // held during encoding, guards the following fields
	status   reportStatus
	response *response
}

// cachedResponses are the responses of a recording, without and with the history of resident memory.
type cachedResponses struct{ plain, memory cachedResponse }

// encodeAll returns the response with all groups.
func (s *recording) encodeAll(e reportStatus) (*response, error) {
	return s.responses.plain.get(e, func(e reportStatus) Report {
		out, _ := s.report(e)
		return out
	})
}

// encodeWithMemory returns the response with all groups and the history of their resident memory.
func (s *recording) encodeWithMemory(e reportStatus) (*response, error) {
	return s.responses.memory.get(e, func(e reportStatus) Report {
		out, recent := s.report(e)
		for i := range out.Groups {
			out.Groups[i].ResidentHistory = s.history.residentOf(s.last.Groups[i].Key(), recent)
		}
		return out
	})
}

// get returns the response of a report. It encodes it again if the status has changed.
func (c *cachedResponse) get(e reportStatus, report func(reportStatus) Report) (*response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.response != nil && c.status == e {
		return c.response, nil
	}
	encoded, err := encode(report(e))
	if err != nil {
		return nil, err
	}
	c.status, c.response = e, encoded
	return encoded, nil
}

func encode(r any) (*response, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return newResponse("application/json", printable.JSON(text)), nil
}
