// Command abuser is many clients that use an HTTP server as none should. Its
// arguments are what they do, how many they are, and the server's address. It
// ends when its standard input does.
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
	attack, ok := attacks[args[0]]
	if !ok {
		return fmt.Errorf("no such abuse: %q", args[0])
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
				attack(ctx, args[2])
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
	request = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
	report  = "GET /api/v1/groups HTTP/1.1\r\nHost: x\r\n\r\n"
	detail  = "GET /api/v1/groups?group=hostileclients HTTP/1.1\r\nHost: x\r\n\r\n"
	once    = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
)

var attacks = map[string]func(ctx context.Context, address string){
	"slowloris": func(ctx context.Context, address string) {
		say(ctx, address, "GET /metrics HTTP/1.1\r\nHost: x\r\nX-A: ")
	},
	"idle": func(ctx context.Context, address string) { say(ctx, address, "") },
	"bodies": func(ctx context.Context, address string) {
		say(ctx, address, "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nx")
	},
	"burst":       func(ctx context.Context, address string) { say(ctx, address, once+"\r\n") },
	"greedy":      func(ctx context.Context, address string) { say(ctx, address, strings.Repeat(request, 500)) },
	"reports":     func(ctx context.Context, address string) { say(ctx, address, strings.Repeat(report, 500)) },
	"details":     func(ctx context.Context, address string) { say(ctx, address, strings.Repeat(detail, 500)) },
	"untiring":    askOn,
	"slowreaders": readSlowly,
	"aborts":      abort,
	"differently": askDifferently,
	"guess":       guess,
}

// dial connects until the context ends.
func dial(ctx context.Context, address string) (conn net.Conn, hangUp func()) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, nil
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	return conn, func() { stop(); conn.Close() }
}

// say says something and waits until the server hangs up.
func say(ctx context.Context, address, text string) {
	conn, hangUp := dial(ctx, address)
	if conn == nil {
		return
	}
	defer hangUp()
	_, _ = io.WriteString(conn, text)
	_, _ = io.Copy(io.Discard, conn)
}

// askOn asks without a pause, on a connection that it keeps, and reads all it gets.
func askOn(ctx context.Context, address string) {
	conn, hangUp := dial(ctx, address)
	if conn == nil {
		return
	}
	defer hangUp()
	go func() {
		for {
			if _, err := io.WriteString(conn, report+detail+request); err != nil {
				return
			}
		}
	}()
	_, _ = io.Copy(io.Discard, conn)
}

// readSlowly asks for many answers, and takes a byte now and then.
func readSlowly(ctx context.Context, address string) {
	conn, hangUp := dial(ctx, address)
	if conn == nil {
		return
	}
	defer hangUp()
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
	if conn, hangUp := dial(ctx, address); conn != nil {
		_, _ = io.WriteString(conn, request)
		hangUp()
	}
}

var number atomic.Int64

// askDifferently asks for what nobody else has asked for.
func askDifferently(ctx context.Context, address string) {
	n := number.Add(1)
	say(ctx, address, fmt.Sprintf("%sAccept-Encoding: x%d\r\nX-Prometheus-Scrape-Timeout-Seconds: %f\r\n\r\n", once, n, 0.1+float64(n%1000)/100))
}

// guess tries a password and hopes for anything but a refusal.
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
			fmt.Fprintln(os.Stderr, "hostileclients: a guess was answered with", response.Status)
			os.Exit(1)
		}
		pause(ctx, 20*time.Millisecond)
	}
}
