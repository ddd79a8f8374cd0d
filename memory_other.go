//go:build !linux

package main

// respectMemoryLimit does nothing: there are no control groups.
func respectMemoryLimit() {}
