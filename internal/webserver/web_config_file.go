package webserver

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"

	"github.com/prometheus/exporter-toolkit/web"
	"go.yaml.in/yaml/v3"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/time/rate"
)

// maxWebConfigBytes is the maximum size of a configuration file. It prevents a
// wrong path from exhausting memory.
const maxWebConfigBytes = 1 << 20

// A fileStamp identifies one version of a file by inode, size and modification
// time.
type fileStamp struct {
	path   string
	info   os.FileInfo
	exists bool
}

func statFile(path string) fileStamp {
	info, err := os.Stat(path)
	return fileStamp{path, info, err == nil}
}

// current reports whether the file still has this stamp.
func (s fileStamp) current() bool {
	now := statFile(s.path)
	if !now.exists || !s.exists {
		return now.exists == s.exists
	}
	return os.SameFile(now.info, s.info) && now.info.Size() == s.info.Size() && now.info.ModTime().Equal(s.info.ModTime())
}

func unchanged(stamps []fileStamp) bool {
	for _, stamp := range stamps {
		if !stamp.current() {
			return false
		}
	}
	return true
}

// CheckWebConfig returns an error if the web configuration file at path, or a
// file that it names, is invalid.
func CheckWebConfig(path string) error {
	_, _, err := loadWebConfig(path)
	return err
}

// UsesTLS reports whether the web configuration file at path enables TLS. It
// returns false for an empty path.
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

// loadWebConfig reads a web configuration file and the files that it names. It
// returns the stamps also with an error. Each stamp is taken before its file is
// read, so that a write during the read causes another reload.
func loadWebConfig(path string) (*webSettings, []fileStamp, error) {
	stamps := []fileStamp{statFile(path)}
	file, err := parseWebConfig(path)
	if err != nil {
		return nil, stamps, err
	}
	for _, name := range []string{file.TLSConfig.TLSCertPath, file.TLSConfig.TLSKeyPath, file.TLSConfig.ClientCAs} {
		if name == "" {
			continue
		}
		s := statFile(name)
		stamps = append(stamps, s)
		if s.exists && (!s.info.Mode().IsRegular() || s.info.Size() > maxWebConfigBytes) {
			return nil, stamps, fmt.Errorf("%s is not a regular file of at most %d bytes", name, maxWebConfigBytes)
		}
	}
	for _, user := range slices.Sorted(maps.Keys(file.Users)) {
		if _, err := bcrypt.Cost([]byte(file.Users[user])); err != nil {
			return nil, stamps, fmt.Errorf("basic_auth_users: the password of user %q is not a bcrypt hash; run: htpasswd -nBC 10 %q", user, user)
		}
	}
	if err := web.Validate(path); err != nil {
		return nil, stamps, err
	}
	c := &webSettings{http2: file.HTTPConfig.HTTP2, headers: file.HTTPConfig.Header, users: make(map[string][]byte)}
	for name, hash := range file.Users {
		c.users[name] = []byte(hash)
	}
	if limit := file.RateLimiterConfig; limit.Interval != 0 {
		c.rateLimiter = rate.NewLimiter(rate.Every(limit.Interval), limit.Burst)
	}
	if file.TLSConfig.IsEnabled() {
		if c.tls, err = loadTLS(&file.TLSConfig, c.protocols()); err != nil {
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
	if err := d.Decode(c); err != nil && !errors.Is(err, io.EOF) { // an empty file is valid
		return nil, withoutValues(err)
	}
	c.TLSConfig.SetDirectory(filepath.Dir(path))
	return c, nil
}

// quotedValue matches the values of the file in error messages of the YAML
// library. In a malformed file such a value may be a password.
var quotedValue = regexp.MustCompile(`(?s)(cannot unmarshal ).*( into )|(anchor )'.*'( )|(invalid map key: ).*`)

// withoutValues returns an error of the YAML library without values of the file.
func withoutValues(err error) error {
	hide := func(text string) string { return quotedValue.ReplaceAllString(text, "$1$3$5(not shown)$2$4") }
	var typeErrors *yaml.TypeError
	if !errors.As(err, &typeErrors) {
		return errors.New(hide(err.Error()))
	}
	for i, text := range typeErrors.Errors {
		typeErrors.Errors[i] = hide(text)
	}
	return typeErrors
}

// readWebConfig reads a regular file. It refuses others: reading a FIFO can
// block, and a device can be endless.
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

// protocols returns the application protocols that TLS negotiates.
func (c *webSettings) protocols() []string {
	if c.http2 {
		return []string{"h2", "http/1.1"}
	}
	return []string{"http/1.1"}
}

// loadTLS reads the certificate files. The returned configuration does not read
// files when a client connects.
func loadTLS(file *web.TLSConfig, protocols []string) (*tls.Config, error) {
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
	config.NextProtos = protocols
	config.VerifyConnection = func(s tls.ConnectionState) error {
		if !s.DidResume { // the handshake verifies the certificate
			return nil
		}
		return verifyClient(config, &s)
	}
	return config, nil
}

// verifyClient returns an error if config refuses the client of a connection whose certificate was
// verified with an earlier configuration. It applies the checks of the TLS handshake.
func verifyClient(config *tls.Config, state *tls.ConnectionState) error {
	certificates := state.PeerCertificates
	if len(certificates) == 0 {
		required := config.ClientAuth == tls.RequireAnyClientCert || config.ClientAuth == tls.RequireAndVerifyClientCert
		if required || config.VerifyPeerCertificate != nil {
			return errors.New("client has no certificate")
		}
		return nil
	}
	var chains [][]*x509.Certificate
	if config.ClientAuth >= tls.VerifyClientCertIfGiven {
		options := x509.VerifyOptions{
			Roots: config.ClientCAs, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}
		for _, c := range certificates[1:] {
			options.Intermediates.AddCert(c)
		}
		var err error
		if chains, err = certificates[0].Verify(options); err != nil {
			return err
		}
	}
	if config.VerifyPeerCertificate == nil {
		return nil
	}
	var raw [][]byte
	for _, c := range certificates {
		raw = append(raw, c.Raw)
	}
	return config.VerifyPeerCertificate(raw, chains)
}
