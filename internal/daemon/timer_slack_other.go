//go:build !linux

package daemon

// setTimerSlack does nothing: only Linux has timer slack.
func setTimerSlack() {}
