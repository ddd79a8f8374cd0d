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
	return &Client{base: base.JoinPath(GroupsPath), http: c}, nil
}

// Report returns the state of all groups.
func (c *Client) Report(ctx context.Context) (Report, error) { return c.get(ctx, nil) }

// Detail returns the detailed state of the groups with one name.
func (c *Client) Detail(ctx context.Context, name string) (Report, error) {
	return c.get(ctx, url.Values{"group": {name}})
}

func (c *Client) get(ctx context.Context, query url.Values) (r Report, err error) {
	target := *c.base
	target.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return r, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return r, fmt.Errorf("no response from %s: %w", c.base.Redacted(), errors.Unwrap(err))
	}
	defer response.Body.Close()
	body := io.LimitReader(response.Body, maxResponseSize)
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized:
		return r, fmt.Errorf("%s requires a password: use http://user:password@host:port", c.base.Redacted())
	case http.StatusNotFound:
		text, _ := io.ReadAll(io.LimitReader(body, 200)) // the text is optional
		return r, fmt.Errorf("%s: %s (exporters before 0.1.0 do not have this path)", c.base.Redacted(), strings.TrimSpace(string(text)))
	default:
		return r, fmt.Errorf("%s: status %s", c.base.Redacted(), response.Status)
	}
	if err := json.NewDecoder(body).Decode(&r); err != nil {
		return r, fmt.Errorf("%s: response is not a report of an exporter: %w", c.base.Redacted(), err)
	}
	if r.Version != Version {
		return r, fmt.Errorf("%s: report version %d, want version %d: use a program of the same release", c.base.Redacted(), r.Version, Version)
	}
	return r, nil
}
