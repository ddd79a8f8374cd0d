// Package webserver answers HTTP for scrapers, however many come and whatever they
// do: it listens, speaks TLS and asks for passwords as the web configuration that
// all exporters share says, makes room for clients that are not slow or idle, and
// lets those that ask the same thing share one answer.
//
// It knows nothing of what an answer says. Bounds hold everywhere: on
// connections, on what is put together at a time, on the work of comparing
// passwords, on the length of files. A web configuration that turns bad leaves
// the one before in force.
package webserver
