// Package webserver serves HTTP to scrapers and bounds what clients can use.
//
// It opens the listeners, applies the web configuration file of
// exporter-toolkit (TLS, basic authentication, headers, rate limit), limits
// connections and concurrent responses, and coalesces identical requests into
// one response. It does not know what the response contains.
//
// Limits exist for connections, concurrent renders, pending password
// comparisons, and the size of configuration files. If a web configuration file
// becomes invalid or unreadable, the previous configuration stays in use.
package webserver
