package webserver

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
)

func TestHostFilter(t *testing.T) {
	loopback4, loopback6 := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, &net.TCPAddr{IP: net.IPv6loopback}
	every, unix := &net.TCPAddr{IP: net.IPv6unspecified}, &net.UnixAddr{Name: "/run/x"}
	tests := []struct {
		name     string
		allowed  []string
		listener net.Addr
		host     string
		want     bool
	}{
		{"loopback, other name", nil, loopback4, "attacker.example:9256", false},
		{"loopback, name that begins as an address", nil, loopback4, "127.0.0.1.attacker.example", false},
		{"loopback, name that contains localhost", nil, loopback4, "localhost.attacker.example:9256", false},
		{"loopback, IPv6", nil, loopback6, "attacker.example", false},
		{"localhost", nil, loopback4, "localhost:9256", true},
		{"localhost, final dot and case", nil, loopback4, "LocalHost.:9256", true},
		{"name below localhost", nil, loopback6, "a.localhost", true},
		{"IPv4", nil, loopback4, "127.0.0.1:9256", true},
		{"IPv4 without port", nil, loopback4, "127.0.0.1", true},
		{"IPv6", nil, loopback6, "[::1]:9256", true},
		{"IPv6 without port", nil, loopback6, "[::1]", true},
		{"address of a proxy", nil, loopback4, "192.0.2.7:443", true},
		{"no Host header", nil, loopback4, "", true},
		{"allowed name", []string{"Proxy.example"}, loopback4, "proxy.example:443", true},
		{"allowed name, other name", []string{"proxy.example"}, loopback4, "attacker.example", false},
		{"any name", []string{AnyHost}, loopback4, "attacker.example", true},
		{"all addresses", nil, every, "node.example:9256", true},
		{"all addresses, list", []string{"node.example"}, every, "attacker.example:9256", false},
		{"all addresses, allowed name", []string{"node.example"}, every, "node.example:9256", true},
		{"Unix socket", nil, unix, "node.example", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := newHostFilter(tt.allowed, tt.listener).allows(tt.host); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// TestHostNames requires that both kinds of servers refuse other host names.
func TestHostNames(t *testing.T) {
	const allowed = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x") })
	_, address := startServer(t, Limits{Connections: 4, WriteTimeout: testTimeout}, ok)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	plain := NewServers()
	plain.ServePlain(l, ok, slog.New(slog.DiscardHandler), Limits{Connections: 4, WriteTimeout: testTimeout})
	defer plain.Close()
	for _, address := range []string{address, l.Addr().String()} {
		for request, want := range map[string]int{
			allowed: http.StatusOK, "GET / HTTP/1.1\r\nHost: attacker.example\r\n\r\n": http.StatusForbidden,
		} {
			response, err := http.ReadResponse(bufio.NewReader(dial(t, address, request)), nil)
			if err != nil || response.StatusCode != want {
				t.Errorf("%q: got %v and error %v, want status %d", request, response, err, want)
			}
		}
	}
}
