package webserver

import (
	"net"
	"strings"
	"testing"

	"github.com/prometheus/exporter-toolkit/web"
)

// TestListen opens two listeners. A used address must close the first one again.
func TestListen(t *testing.T) {
	noSocket := false
	listen := func(addresses ...string) ([]net.Listener, error) {
		return Listen(&web.FlagConfig{WebSystemdSocket: &noSocket, WebListenAddresses: &addresses})
	}
	listeners, err := listen("127.0.0.1:0", "127.0.0.1:0")
	if err != nil || len(listeners) != 2 {
		t.Fatalf("got %d listeners and error %v, want 2", len(listeners), err)
	}
	used := listeners[1].Addr().String()
	CloseAll(append(listeners[:1:1], nil))
	free := listeners[0].Addr().String()
	if _, err := listen(free, used); err == nil || !strings.Contains(err.Error(), "stop the process that uses the address") {
		t.Errorf("got error %v for a used address, want a remedy", err)
	}
	again, err := listen(free)
	if err != nil {
		t.Errorf("got error %v, want the first listener to be closed after the failure of the second", err)
	}
	CloseAll(append(again, listeners[1]))
	if _, err := listen("127.0.0.1"); err == nil || !strings.Contains(err.Error(), "check --web.listen-address") {
		t.Errorf("got error %v for an address without port, want a remedy", err)
	}
}
