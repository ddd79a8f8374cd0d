package webserver

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/mdlayher/vsock"
	"github.com/prometheus/exporter-toolkit/web"
)

// Listen opens all listeners that the flags name. On error it closes all that
// are open.
func Listen(flags *web.FlagConfig) ([]net.Listener, error) {
	if *flags.WebSystemdSocket {
		return systemdListeners()
	}
	var listeners []net.Listener
	for _, address := range *flags.WebListenAddresses {
		l, err := listenOn(address)
		if err != nil {
			CloseAll(listeners)
			return nil, listenError(err)
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

// listenError adds a remedy to the error of a listen call.
func listenError(err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("cannot listen: %w; stop the process that uses the address or choose another --web.listen-address", err)
	}
	return fmt.Errorf("cannot listen: %w; check --web.listen-address", err)
}

func listenOn(address string) (net.Listener, error) {
	if !strings.HasPrefix(address, "vsock://") {
		return net.Listen("tcp", address)
	}
	port, err := vsockPort(address)
	if err != nil {
		return nil, err
	}
	l, err := vsock.Listen(port, nil)
	if err != nil {
		return nil, fmt.Errorf("listen %s: %w", address, err)
	}
	return l, nil
}

// vsockPort returns the port of an address such as vsock://:9256. A vsock port
// has 32 bits. The address has no host, because a process can listen only on the
// context ID of its virtual machine.
func vsockPort(address string) (uint32, error) {
	u, err := url.Parse(address)
	if err != nil {
		return 0, fmt.Errorf("invalid address %q: use the form vsock://:9256", address)
	}
	_, text, _ := strings.Cut(u.Host, ":")
	port, err := strconv.ParseUint(text, 10, 32)
	if err != nil || u.Path != "" {
		return 0, fmt.Errorf("invalid address %q: use the form vsock://:9256", address)
	}
	return uint32(port), nil
}

// systemdListeners returns the sockets of systemd socket activation.
func systemdListeners() ([]net.Listener, error) {
	if runtime.GOOS != "linux" {
		return nil, fmt.Errorf("--web.systemd-socket: systemd sockets on %s: %w", runtime.GOOS, errors.ErrUnsupported)
	}
	listeners, err := activation.Listeners()
	if err != nil {
		return nil, fmt.Errorf("--web.systemd-socket: %w", err)
	}
	if len(listeners) == 0 {
		return nil, errors.New("--web.systemd-socket: systemd passed no socket; start the exporter through its .socket unit or omit the flag")
	}
	for i, l := range listeners {
		if l == nil { // not a stream socket
			CloseAll(listeners)
			return nil, fmt.Errorf("--web.systemd-socket: socket %d from systemd is no stream socket; use ListenStream= in the .socket unit", i+1)
		}
	}
	return listeners, nil
}

// CloseAll closes listeners that have not been passed to [Servers]. It skips nil
// elements.
func CloseAll(listeners []net.Listener) {
	for _, l := range listeners {
		if l != nil {
			_ = l.Close() // unused, so that no data can be lost
		}
	}
}
