package webserver

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// AnyHost in Limits.AllowedHosts allows every host name.
const AnyHost = "*"

// A hostFilter refuses requests for other host names than those allowed. This
// prevents DNS rebinding: a web page whose name resolves to this machine could
// otherwise read the responses. IP addresses need no resolution, so they are
// always allowed, and requests without a Host header are not from browsers.
type hostFilter struct {
	any   bool
	names []string // in lower case
}

// newHostFilter returns the filter of a listener. Without allowed names it allows
// every name, except on a loopback listener.
func newHostFilter(allowed []string, listener net.Addr) hostFilter {
	f := hostFilter{any: slices.Contains(allowed, AnyHost) || len(allowed) == 0 && !isLoopback(listener)}
	for _, name := range allowed {
		f.names = append(f.names, strings.ToLower(name))
	}
	return f
}

func isLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// allows reports whether a request with this Host header is allowed.
func (f hostFilter) allows(header string) bool {
	host, _, err := net.SplitHostPort(header)
	if err != nil { // without port
		host = strings.TrimSuffix(strings.TrimPrefix(header, "["), "]")
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if f.any || host == "" || host == "localhost" || strings.HasSuffix(host, ".localhost") || slices.Contains(f.names, host) {
		return true
	}
	_, err = netip.ParseAddr(host)
	return err == nil
}

// handler returns a handler of the requests that f allows.
func (f hostFilter) handler(next http.Handler) http.Handler {
	if f.any {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !f.allows(r.Host) {
			http.Error(w, "The host name of this request is not allowed. Use an IP address, or add the name to --web.allowed-hosts.",
				http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
