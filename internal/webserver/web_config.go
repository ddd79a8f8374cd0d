package webserver

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/exporter-toolkit/web"
	"go.yaml.in/yaml/v3"
	"golang.org/x/time/rate"
)

// maxWebConfigBytes is far above any such file, and keeps a wrong path from
// filling the memory.
const maxWebConfigBytes = 1 << 20

const (
	// webConfigAge is how long the files are taken to be as they were.
	webConfigAge = time.Second

	// webConfigWait is how long a look at the files has requests wait at most. Files
	// on a server that does not answer must not keep them.
	webConfigWait = 100 * time.Millisecond
)

// settings are what a web configuration file says. They do not change.
type settings struct {
	tls     *tls.Config // nil serves plain HTTP
	http2   bool
	headers map[string]string
	users   map[string][]byte // hashes by name; empty lets everybody in
	limiter *rate.Limiter     // nil has no limit
}

// A WebConfig holds the newest web configuration that was good. A certificate
// that is being replaced, or a slip in an editor, must not lock out whoever
// scrapes.
type WebConfig struct {
	path string
	log  *slog.Logger
	good prometheus.Gauge
	load func(path string) (*settings, []stamp, error)
	wait time.Duration // webConfigWait, but in tests

	mu      sync.Mutex // guards what follows
	current *settings
	stamps  []stamp // of the files that current, or the failure after it, came from
	checked time.Time
	failed  bool  // when they were read last
	looking *look // nil unless somebody looks at the files
}

// A look at the files may take as long as they like, and there is one at a time.
type look struct {
	begun time.Time
	done  chan struct{}
	late  bool // took longer than anybody waits, as the log says
}

// A stamp changes when a file does.
type stamp struct {
	path  string
	info  os.FileInfo
	found bool
}

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	return stamp{path, info, err == nil}
}

// same reports whether the file is as it was.
func (s stamp) same() bool {
	now := stampOf(s.path)
	if !now.found || !s.found {
		return now.found == s.found
	}
	return os.SameFile(now.info, s.info) && now.info.Size() == s.info.Size() && now.info.ModTime().Equal(s.info.ModTime())
}

// OpenWebConfig loads the file at path. An empty path stands for plain HTTP that
// everybody may use.
func OpenWebConfig(path string, log *slog.Logger) (*WebConfig, error) {
	s := &WebConfig{
		path: path, log: log, load: loadWebConfig, wait: webConfigWait, current: new(settings), checked: time.Now(),
	}
	s.good = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "namedprocess_exporter_web_config_last_reload_successful",
		Help: "Whether the last read of the web configuration files succeeded (1) or failed (0).",
	})
	s.good.Set(1)
	if path == "" {
		return s, nil
	}
	config, stamps, err := loadWebConfig(path)
	if err != nil {
		return nil, fmt.Errorf("--web.config.file=%s: %w", path, err)
	}
	s.current, s.stamps = config, stamps
	return s, nil
}

// get returns the configuration in force. It looks once a second whether a file
// has changed, and reads them only then.
func (s *WebConfig) get() *settings {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.path == "" || time.Since(s.checked) < webConfigAge {
		return s.current
	}
	looking := s.looking
	if looking == nil {
		looking = &look{begun: time.Now(), done: make(chan struct{})}
		s.looking = looking
		go s.look(looking)
	}
	s.await(looking)
	if s.looking == looking && !looking.late {
		looking.late = true
		s.good.Set(0)
		s.log.Warn("Web configuration does not answer, what it was stays in force", "file", s.path)
	}
	return s.current
}

// await waits for a look at the files while that takes no longer than usual. It lets
// go of mu meanwhile.
func (s *WebConfig) await(looking *look) {
	if left := s.wait - time.Since(looking.begun); left > 0 {
		timer := time.NewTimer(left)
		defer timer.Stop()
		s.mu.Unlock()
		defer s.mu.Lock()
		select {
		case <-looking.done:
			return
		case <-timer.C:
		}
	}
}

// look finds out whether a file has changed, and reads them if so.
func (s *WebConfig) look(looking *look) {
	s.mu.Lock()
	stamps, current := s.stamps, s.current
	s.mu.Unlock()
	next, newStamps, err := s.newer(current, stamps)
	s.mu.Lock()
	defer s.mu.Unlock()
	defer close(looking.done)
	s.checked, s.looking, s.stamps = time.Now(), nil, newStamps
	switch {
	case err != nil:
		s.failed = true
		s.log.Error("Web configuration not reloaded, the old one stays in force", "file", s.path, "err", err)
	case next != nil:
		s.failed, s.current = false, next
		s.log.Info("Web configuration reloaded", "file", s.path)
	case looking.late:
		s.log.Info("Web configuration answers again", "file", s.path)
	}
	s.good.Set(map[bool]float64{true: 0, false: 1}[s.failed])
}

// newer reads the files if they are not as they were, and else returns nil. A
// failure here must not take down the exporter, as a panic would that no server
// catches.
func (s *WebConfig) newer(current *settings, stamps []stamp) (next *settings, newStamps []stamp, err error) {
	defer func() {
		if p := recover(); p != nil {
			next, newStamps, err = nil, stamps, fmt.Errorf("panic: %v", p)
		}
	}()
	if unchanged(stamps) {
		return nil, stamps, nil
	}
	next, newStamps, err = s.load(s.path)
	if err == nil && (next.tls == nil) != (current.tls == nil) {
		err = errors.New("TLS cannot be turned on or off while serving; restart the exporter")
	}
	return next, newStamps, err
}

// Good returns the metric that says whether the newest files were good.
func (s *WebConfig) Good() prometheus.Collector { return s.good }

// Files returns the paths of all that was read.
func (s *WebConfig) Files() (paths []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, file := range s.stamps {
		paths = append(paths, file.path)
	}
	return paths
}

func unchanged(stamps []stamp) bool {
	for _, file := range stamps {
		if !file.same() {
			return false
		}
	}
	return true
}

// CheckWebConfig returns what is wrong with a web configuration file, or nil.
func CheckWebConfig(path string) error {
	_, _, err := loadWebConfig(path)
	return err
}

// UsesTLS reports whether who serves with this web configuration speaks TLS.
func UsesTLS(path string) (bool, error) {
	if path == "" {
		return false, nil
	}
	config, err := parseWebConfig(path)
	if err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	return config.TLSConfig.IsEnabled(), nil
}

// loadWebConfig reads a web configuration file and those that it names. The
// stamps are good after an error as well, and older than what was read: what is
// written meanwhile is read next time.
func loadWebConfig(path string) (*settings, []stamp, error) {
	stamps := []stamp{stampOf(path)}
	file, err := parseWebConfig(path)
	if err != nil {
		return nil, stamps, err
	}
	for _, name := range []string{file.TLSConfig.TLSCertPath, file.TLSConfig.TLSKeyPath, file.TLSConfig.ClientCAs} {
		if name == "" {
			continue
		}
		s := stampOf(name)
		stamps = append(stamps, s)
		if s.found && (!s.info.Mode().IsRegular() || s.info.Size() > maxWebConfigBytes) {
			return nil, stamps, fmt.Errorf("%s is not a regular file of at most %d bytes", name, maxWebConfigBytes)
		}
	}
	if err := web.Validate(path); err != nil {
		return nil, stamps, err
	}
	c := &settings{http2: file.HTTPConfig.HTTP2, headers: file.HTTPConfig.Header, users: make(map[string][]byte)}
	for name, hash := range file.Users {
		c.users[name] = []byte(hash)
	}
	if limit := file.RateLimiterConfig; limit.Interval != 0 {
		c.limiter = rate.NewLimiter(rate.Every(limit.Interval), limit.Burst)
	}
	if file.TLSConfig.IsEnabled() {
		if c.tls, err = fixedTLS(&file.TLSConfig, c.http2); err != nil {
			return nil, stamps, err
		}
	}
	return c, stamps, nil
}

func parseWebConfig(path string) (*web.Config, error) {
	text, err := readWebConfig(path)
	if err != nil {
		return nil, err
	}
	c := &web.Config{
		TLSConfig:  web.TLSConfig{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13},
		HTTPConfig: web.HTTPConfig{HTTP2: true},
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(c); err != nil && !errors.Is(err, io.EOF) { // an empty file asks for nothing
		return nil, withoutValues(err)
	}
	c.TLSConfig.SetDirectory(filepath.Dir(path))
	return c, nil
}

// copied is what the YAML library copies from a file into its messages. In this
// file it may be a password, if its author made a mistake.
var copied = regexp.MustCompile(`(?s)(cannot unmarshal ).*( into )|(anchor )'.*'( )|(invalid map key: ).*`)

// withoutValues returns an error of the YAML library without what was copied.
func withoutValues(err error) error {
	hide := func(text string) string { return copied.ReplaceAllString(text, "$1$3$5(not shown)$2$4") }
	var several *yaml.TypeError
	if !errors.As(err, &several) {
		return errors.New(hide(err.Error()))
	}
	for i, text := range several.Errors {
		several.Errors[i] = hide(text)
	}
	return several
}

// readWebConfig reads a regular file. A FIFO may never answer, and a device may
// never end.
func readWebConfig(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("is not a regular file; give the path of a YAML file")
	case info.Size() > maxWebConfigBytes:
		return nil, fmt.Errorf("has more than %d bytes; is it the right file?", maxWebConfigBytes)
	}
	return io.ReadAll(io.LimitReader(f, maxWebConfigBytes))
}

// fixedTLS returns a configuration that never looks at a file again, not even
// when a client connects.
func fixedTLS(file *web.TLSConfig, http2 bool) (*tls.Config, error) {
	config, err := web.ConfigToTLSConfig(file)
	if err != nil {
		return nil, err
	}
	certificate, err := config.GetCertificate(nil)
	if err != nil {
		return nil, err
	}
	config.GetCertificate = nil
	config.Certificates = []tls.Certificate{*certificate}
	config.NextProtos = []string{"http/1.1"}
	if http2 {
		config.NextProtos = []string{"h2", "http/1.1"}
	}
	return config, nil
}

// secure puts TLS before what a server accepts, where the configuration has it.
// Each client meets the newest certificate.
func (s *WebConfig) secure(l net.Listener, server *http.Server) net.Listener {
	config := s.get()
	if config.tls == nil {
		return l
	}
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(config.http2)
	server.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: maxStreams}
	first := config.tls.Clone()
	first.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.get().tls, nil }
	server.TLSConfig = first
	return tls.NewListener(l, first)
}

// maxStreams is how many requests a client of HTTP/2 may have under way. A
// scraper has one.
const maxStreams = 8
