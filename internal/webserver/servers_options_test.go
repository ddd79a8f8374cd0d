package webserver

import (
	"bufio"
	"net/http"
	"testing"
)

// TestGeneralOptions checks that OPTIONS * reaches the handler, which checks hosts and passwords.
func TestGeneralOptions(t *testing.T) {
	refuse := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }
	_, address := startServer(t, Limits{Connections: 8, WriteTimeout: testTimeout}, refuse)
	c := dial(t, address, "OPTIONS * HTTP/1.1\r\nHost: other.example\r\n\r\n")
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusForbidden {
		t.Errorf("got status %d, want that of the handler", response.StatusCode)
	}
}
