package webserver

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// TestWebConfigNamesFiles refuses to read what may never end.
func TestWebConfigNamesFiles(t *testing.T) {
	path := writeFile(t, "web.yml", "tls_server_config: {cert_file: /dev/zero, key_file: /dev/zero}\n")
	if _, _, err := loadWebConfig(path); err == nil || !strings.Contains(err.Error(), "/dev/zero is not a regular file") {
		t.Errorf("got %v", err)
	}
}

// FuzzWebConfig asserts that no text makes loading panic, or fail and yet answer.
func FuzzWebConfig(f *testing.F) {
	f.Add("http_server_config: {headers: {X-Frame-Options: deny}, http2: false}\nrate_limit: {interval: 1s, burst: 2}\n")
	f.Add("basic_auth_users: {a: $2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi}\n")
	f.Add("tls_server_config: {cert_file: a, key_file: b, min_version: TLS13, client_auth_type: RequireAnyClientCert}\n")
	path := filepath.Join(f.TempDir(), "web.yml")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if c, stamps, err := loadWebConfig(path); (c == nil) != (err != nil) || len(stamps) == 0 {
			t.Errorf("got %+v from %v beside error %v", c, stamps, err)
		}
	})
}

// TestWebConfigChanges rewrites the file while it is in force.
func TestWebConfigChanges(t *testing.T) {
	path := writeFile(t, "web.yml", "http_server_config: {headers: {X-Frame-Options: deny}}\n")
	s, err := OpenWebConfig(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.wait = patience // for a busy machine
	steps := []struct {
		name, text, want string
	}{
		{"broken", "http_server_config: {hea", "deny"},
		{"unknown key", "nonsense: 1\n", "deny"},
		{"turns TLS on", "tls_server_config: {cert_file: x, key_file: y}\n", "deny"},
		{"good again", "http_server_config: {headers: {X-Frame-Options: sameorigin}}\n", "sameorigin"},
		{"empty", "", ""},
	}
	for _, tt := range steps {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, time.Time{}, s.checked.Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			s.checked = time.Time{}
			if got := s.get().headers["X-Frame-Options"]; got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	s.checked = time.Time{}
	before := s.current
	if s.get() != before {
		t.Error("got another configuration after the file was removed")
	}
}

// TestWebConfigThatDoesNotAnswer keeps requests no longer than one look may, and is
// told of.
func TestWebConfigThatDoesNotAnswer(t *testing.T) {
	path := writeFile(t, "web.yml", "http_server_config: {headers: {X-Frame-Options: deny}}\n")
	s, err := OpenWebConfig(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.wait = 10 * time.Millisecond
	answer := make(chan string) // which a look waits for, and has to say
	s.load = func(string) (*settings, []stamp, error) {
		header := <-answer
		if header == "" {
			panic("no header")
		}
		return &settings{headers: map[string]string{"X-Frame-Options": header}}, []stamp{stampOf(path)}, nil
	}
	expect := func(header string, good float64) {
		t.Helper()
		s.mu.Lock()
		s.checked, s.stamps = time.Time{}, []stamp{{path: path}} // as if the file had been absent
		s.mu.Unlock()
		for range 3 {
			if got := s.get().headers["X-Frame-Options"]; got != header {
				t.Errorf("got %q, want %q", got, header)
			}
		}
		if got := goodOf(t, s); got != good {
			t.Errorf("got %v for whether it is good, want %v", got, good)
		}
	}
	looked := func() {
		t.Helper()
		eventually(t, "the look to end", func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.looking == nil
		})
	}
	expect("deny", 0)
	answer <- "sameorigin"
	looked()
	if got := goodOf(t, s); got != 1 {
		t.Errorf("got %v for whether it is good after it has answered", got)
	}
	expect("sameorigin", 0)
	answer <- ""
	looked()
	s.wait = 0
	expect("sameorigin", 0)
	answer <- "deny"
	looked()
	if got := s.current.headers["X-Frame-Options"]; got != "deny" {
		t.Errorf("got %q after a look that failed and one that did not", got)
	}
}

// goodOf returns the value of the metric.
func goodOf(t *testing.T, s *WebConfig) float64 {
	t.Helper()
	var m dto.Metric
	if err := s.good.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetGauge().GetValue()
}

// TestWebConfigIsCached holds that requests do not read the file.
func TestWebConfigIsCached(t *testing.T) {
	s, err := OpenWebConfig(writeFile(t, "web.yml", "rate_limit: {interval: 1s, burst: 2}\n"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.wait = patience // for a busy machine
	first := s.get()
	s.checked = time.Time{}
	if s.get() != first {
		t.Error("a file that has not changed was parsed again")
	}
	d := &door{web: s, keeper: newGatekeeper(), next: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	var got []int
	for range 3 {
		w := httptest.NewRecorder()
		d.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		got = append(got, w.Code)
	}
	if got[0] != 200 || got[1] != 200 || got[2] != http.StatusTooManyRequests {
		t.Errorf("got %d, want the third refused", got)
	}
}

func TestWebConfigRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, path := range map[string]string{"directory": dir, "device": "/dev/zero", "nothing": dir + "/none"} {
		t.Run(name, func(t *testing.T) {
			if _, err := OpenWebConfig(path, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "--web.config.file="+path) {
				t.Errorf("got error %v", err)
			}
		})
	}
}
