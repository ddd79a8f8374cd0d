// Package host converts values of /proc that depend on the machine: clock ticks
// to time and user IDs to names. It also classifies errors of reads. Packages
// platform and process share it.
package host
