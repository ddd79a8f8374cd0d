package webui

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// maxResponseSize is the maximum size in bytes of a response that a Client reads.
// Thousands of groups need a few million.
const maxResponseSize = 64 << 20

// A Client reads reports of an exporter over HTTP.
type Client struct {
	base *url.URL
	http *http.Client
}

// NewClient returns a Client of the exporter at address, such as
// http://user:password@host:9256.
func NewClient(address string, c *http.Client) (*Client, error) {
	base, err := url.Parse(address)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		redacted := address[strings.LastIndexByte(address, '@')+1:] // the part before it may contain a password
		return nil, fmt.Errorf("invalid exporter address %q: use a URL such as http://localhost:9256", redacted)
	}
	return &Client{base: base, http: c}, nil
}

// Report returns the state of all groups.
func (c *Client) Report(ctx context.Context) (r Report, err error) {
	err = c.get(ctx, GroupsPath, nil, &r, &r.Version)
	return r, err
}

// Detail returns the detailed state of the groups with one name.
func (c *Client) Detail(ctx context.Context, name string) (r Report, err error) {
	err = c.get(ctx, GroupsPath, url.Values{"group": {name}}, &r, &r.Version)
	return r, err
}

// ProcessesOf returns the processes of the groups with one name that use most CPU.
func (c *Client) ProcessesOf(ctx context.Context, name string) (r ProcessReport, err error) {
	err = c.get(ctx, ProcessesPath, url.Values{"group": {name}}, &r, &r.Version)
	return r, err
}

// LargestProcesses returns the process with most resident memory of each group.
func (c *Client) LargestProcesses(ctx context.Context) (r ProcessReport, err error) {
	err = c.get(ctx, ProcessesPath, nil, &r, &r.Version)
	return r, err
}

// get decodes the response of path into to, and checks the version, which is a field of to.
func (c *Client) get(ctx context.Context, path string, query url.Values, to any, version *int) error {
	target := c.base.JoinPath(path)
	target.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return err
	}
	name := c.base.JoinPath(path).Redacted()
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("no response from %s: %w", name, errors.Unwrap(err))
	}
	defer response.Body.Close()
	body := io.LimitReader(response.Body, maxResponseSize)
	text := func() string {
		out, _ := io.ReadAll(io.LimitReader(body, 200)) // the text is optional
		return strings.TrimSpace(string(out))
	}
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized:
		return fmt.Errorf("%s requires a password: use --password-file or PROCESS_EXPORTER_PASSWORD, and http://user@host:port", name)
	case http.StatusNotFound:
		return fmt.Errorf("%s: %s (ncabatoff/process-exporter does not have this path)", name, text())
	case http.StatusForbidden:
		return errors.New(text())
	default:
		return fmt.Errorf("%s: status %s", name, response.Status)
	}
	if err := json.NewDecoder(body).Decode(to); err != nil {
		return fmt.Errorf("%s: response is not a report of an exporter: %w", name, err)
	}
	if *version != Version {
		return fmt.Errorf("%s: report version %d, want version %d: use a program of the same release", name, *version, Version)
	}
	return nil
}
