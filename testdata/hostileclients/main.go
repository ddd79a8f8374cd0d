// Command hostileclients runs many clients that misuse an HTTP server. Its arguments are the kind of
// client, the number of clients and the address of the server. It exits when its standard input ends.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "hostileclients:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("got %d arguments, want kind, clients and address", len(args))
	}
	client, ok := kinds[args[0]]
	if !ok {
		return fmt.Errorf("unknown kind of client: %q", args[0])
	}
	clients, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for ctx.Err() == nil {
				client(ctx, args[2])
				pause(ctx, time.Second)
			}
		})
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	cancel()
	all.Wait()
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

const (
	request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
	report  = "GET /api/v1/groups HTTP/1.1\r\nHost: localhost\r\n\r\n"
	detail  = "GET /api/v1/groups?group=hostileclients HTTP/1.1\r\nHost: localhost\r\n\r\n"
	once    = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
)

var kinds = map[string]func(ctx context.Context, address string){
	"slowloris": func(ctx context.Context, address string) {
		send(ctx, address, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-A: ")
	},
	"idle": func(ctx context.Context, address string) { send(ctx, address, "") },
	"bodies": func(ctx context.Context, address string) {
		send(ctx, address, "POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nx")
	},
	"burst":       func(ctx context.Context, address string) { send(ctx, address, once+"\r\n") },
	"pipelined":   func(ctx context.Context, address string) { send(ctx, address, strings.Repeat(request, 500)) },
	"reports":     func(ctx context.Context, address string) { send(ctx, address, strings.Repeat(report, 500)) },
	"details":     func(ctx context.Context, address string) { send(ctx, address, strings.Repeat(detail, 500)) },
	"continuous":  requestContinuously,
	"slowreaders": readSlowly,
	"aborts":      abort,
	"unique":      requestUnique,
	"guess":       guess,
}

// dial connects to the server. The connection closes when ctx ends.
func dial(ctx context.Context, address string) (conn net.Conn, disconnect func()) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, nil
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	return conn, func() { stop(); conn.Close() }
}

// send sends text and reads until the server closes the connection.
func send(ctx context.Context, address, text string) {
	conn, disconnect := dial(ctx, address)
	if conn == nil {
		return
	}
	defer disconnect()
	_, _ = io.WriteString(conn, text)
	_, _ = io.Copy(io.Discard, conn)
}

// requestContinuously sends requests without pause on one connection, and reads all responses.
func requestContinuously(ctx context.Context, address string) {
	conn, disconnect := dial(ctx, address)
	if conn == nil {
		return
	}
	defer disconnect()
	go func() {
		for {
			if _, err := io.WriteString(conn, report+detail+request); err != nil {
				return
			}
		}
	}()
	_, _ = io.Copy(io.Discard, conn)
}

// readSlowly sends many requests and reads one byte from time to time.
func readSlowly(ctx context.Context, address string) {
	conn, disconnect := dial(ctx, address)
	if conn == nil {
		return
	}
	defer disconnect()
	_ = conn.(*net.TCPConn).SetReadBuffer(2048)
	_, _ = io.WriteString(conn, strings.Repeat(request, 50))
	for ctx.Err() == nil {
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			return
		}
		pause(ctx, 500*time.Millisecond)
	}
}

func abort(ctx context.Context, address string) {
	if conn, disconnect := dial(ctx, address); conn != nil {
		_, _ = io.WriteString(conn, request)
		disconnect()
	}
}

var number atomic.Int64

// requestUnique sends a request that differs from all others.
func requestUnique(ctx context.Context, address string) {
	n := number.Add(1)
	send(ctx, address, fmt.Sprintf("%sAccept-Encoding: x%d\r\nX-Prometheus-Scrape-Timeout-Seconds: %f\r\n\r\n", once, n,
		0.1+float64(n%1000)/100))
}

// guess sends wrong passwords. A response other than 401 or 429 is an error.
func guess(ctx context.Context, address string) {
	for ctx.Err() == nil {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
		if err != nil {
			return
		}
		r.SetBasicAuth("alice", strconv.FormatInt(number.Add(1), 10))
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		if response.StatusCode != http.StatusUnauthorized && response.StatusCode != http.StatusTooManyRequests {
			fmt.Fprintln(os.Stderr, "hostileclients: got a response to a guessed password:", response.Status)
			os.Exit(1)
		}
		pause(ctx, 20*time.Millisecond)
	}
}
