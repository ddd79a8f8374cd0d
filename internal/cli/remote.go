package cli

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"github.com/seed57308aee/process_exporter/internal/webui"
)

// Environment variables of commands that read a running exporter.
const (
	passwordVariable = "PROCESS_EXPORTER_PASSWORD"
	caFileVariable   = "PROCESS_EXPORTER_CA_FILE"
)

// remoteFlags are the credentials for a running exporter. A password on the command line would be
// visible to all users of the machine.
type remoteFlags struct {
	insecure             bool
	passwordFile, caFile string
}

func (f *remoteFlags) add(app *kingpin.Application) {
	app.Flag("password-file", "File with the password of --url; "+passwordVariable+" can hold it instead.").
		PlaceHolder("FILE").StringVar(&f.passwordFile)
	app.Flag("ca-file", "PEM file with the CA of --url; "+caFileVariable+" can name it instead.").PlaceHolder("FILE").StringVar(&f.caFile)
	app.Flag("insecure", "Do not verify the certificate of --url.").BoolVar(&f.insecure)
}

// client returns a client of the exporter at address.
func (f *remoteFlags) client(address string) (*webui.Client, error) {
	password, err := f.password()
	if err != nil {
		return nil, err
	}
	if u, err := url.Parse(address); err == nil && password != "" { // NewClient reports an invalid address
		if _, given := u.User.Password(); !given {
			u.User = url.UserPassword(u.User.Username(), password)
			address = u.String()
		}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: f.insecure}
	if path := cmp.Or(f.caFile, os.Getenv(caFileVariable)); path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("--ca-file: %w", err)
		}
		transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !transport.TLSClientConfig.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("--ca-file: %s has no PEM certificate", path)
		}
	}
	return webui.NewClient(address, &http.Client{Timeout: 15 * time.Second, Transport: transport})
}

// password returns the password in the file or in the environment, or "". The line end of the
// file is not part of it.
func (f *remoteFlags) password() (string, error) {
	if f.passwordFile == "" {
		return os.Getenv(passwordVariable), nil
	}
	text, err := os.ReadFile(f.passwordFile)
	if err != nil {
		return "", fmt.Errorf("--password-file: %w", err)
	}
	return string(bytes.TrimRight(text, "\r\n")), nil
}
