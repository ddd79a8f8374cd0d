//go:build !linux

package main

func sleepDeeply() {}
