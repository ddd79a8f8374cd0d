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

// maxAnswer bounds what is read of an answer, in bytes. Thousands of groups take
// a few million.
const maxAnswer = 64 << 20

// A Client asks an exporter that runs elsewhere.
type Client struct {
	base *url.URL
	http *http.Client
}

// NewClient returns a Client of the exporter whose page is at address, such as
// http://user:password@host:9256.
func NewClient(address string, c *http.Client) (*Client, error) {
	base, err := url.Parse(address)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		shown := address[strings.LastIndexByte(address, '@')+1:] // what stands before it may be a password
		return nil, fmt.Errorf("%q is no address of an exporter: write one such as http://localhost:9256", shown)
	}
	return &Client{base: base.JoinPath(GroupsPath), http: c}, nil
}

// Report asks for all groups.
func (c *Client) Report(ctx context.Context) (Report, error) { return c.ask(ctx, nil) }

// Detail asks for the groups of one name.
func (c *Client) Detail(ctx context.Context, name string) (Report, error) {
	return c.ask(ctx, url.Values{"group": {name}})
}

func (c *Client) ask(ctx context.Context, query url.Values) (r Report, err error) {
	target := *c.base
	target.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return r, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return r, fmt.Errorf("no answer of %s: %w", c.base.Redacted(), errors.Unwrap(err))
	}
	defer response.Body.Close()
	body := io.LimitReader(response.Body, maxAnswer)
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized:
		return r, fmt.Errorf("%s asks for a password: write http://user:password@host:port", c.base.Redacted())
	case http.StatusNotFound:
		text, _ := io.ReadAll(io.LimitReader(body, 200)) // that there is none is said anyway
		return r, fmt.Errorf("%s: %s (an exporter before 0.1.0 has no such page)", c.base.Redacted(), strings.TrimSpace(string(text)))
	default:
		return r, fmt.Errorf("%s answers %s", c.base.Redacted(), response.Status)
	}
	if err := json.NewDecoder(body).Decode(&r); err != nil {
		return r, fmt.Errorf("%s does not answer as an exporter does: %w", c.base.Redacted(), err)
	}
	if r.Version != Version {
		return r, fmt.Errorf("%s answers in version %d, and this program knows version %d: take one of the same release", c.base.Redacted(), r.Version, Version)
	}
	return r, nil
}
