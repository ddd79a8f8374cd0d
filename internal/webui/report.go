// Package webui tells people what the groups of processes do right now: as JSON,
// and as a page. Prometheus has the history; this has the last minutes.
//
// Nothing here runs while nobody looks: a [Recorder] keeps what scrapes have
// found, and starts a walk of its own only for somebody who asks.
package webui

import "time"

// Version is that of the format of [Report]. A new field leaves it as it is.
const Version = 1

// A Report is what the page shows. What is not known is absent,
// never 0.
type Report struct {
	Version  int       `json:"version"`
	Time     time.Time `json:"time"`     // of the walk that the values are from
	Interval float64   `json:"interval"` // seconds that rates are over, 0 while there are none
	Exporter Exporter  `json:"exporter"`
	Groups   []Group   `json:"groups"` // by name
}

// Exporter is how the exporter itself is.
type Exporter struct {
	Version        string    `json:"version"`
	Revision       string    `json:"revision,omitempty"`
	Source         string    `json:"source"`
	Start          time.Time `json:"start"`
	ScrapeSeconds  float64   `json:"scrape_seconds"`
	ScrapeSuccess  bool      `json:"scrape_success"`
	ScrapePartial  bool      `json:"scrape_partial"`
	Error          string    `json:"error,omitempty"` // why the last walk failed
	Unreadable     int       `json:"unreadable"`      // processes of which something could not be read
	Blocked        int       `json:"blocked"`         // processes that do not answer
	LostEvents     uint64    `json:"lost_events"`
	LimitedGroups  uint64    `json:"limited_groups"`
	SmapsBudget    float64   `json:"smaps_budget_seconds"` // CPU time of a walk for shares of memory, 0 for none
	ConfigReloaded bool      `json:"config_reloaded"`      // whether the last reload succeeded
	ConfigTime     time.Time `json:"config_time"`          // of the rules in force
}

// A Group is what the processes of one group do. Rates are per second.
type Group struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels,omitempty"`
	Procs  int               `json:"procs"`
	Rule   string            `json:"rule,omitempty"` // its position, its name template and its line

	CPU             *float64 `json:"cpu,omitempty"` // cores, user and system
	CPUUser         *float64 `json:"cpu_user,omitempty"`
	CPUSystem       *float64 `json:"cpu_system,omitempty"`
	ReadBytes       *float64 `json:"read_bytes,omitempty"`
	WriteBytes      *float64 `json:"write_bytes,omitempty"`
	ContextSwitches *float64 `json:"context_switches,omitempty"`
	MajorFaults     *float64 `json:"major_faults,omitempty"`

	ResidentBytes *uint64    `json:"resident_bytes,omitempty"`
	PSSBytes      *uint64    `json:"pss_bytes,omitempty"`
	USSBytes      *uint64    `json:"uss_bytes,omitempty"`
	SwapBytes     *uint64    `json:"swap_bytes,omitempty"`
	SmapsAge      *float64   `json:"smaps_age_seconds,omitempty"` // of the oldest of PSSBytes and USSBytes
	FDs           *uint64    `json:"fds,omitempty"`
	FDRatio       *float64   `json:"fd_ratio,omitempty"` // of the process next to its limit
	Threads       *int       `json:"threads,omitempty"`
	Starts        *uint64    `json:"starts,omitempty"` // since the exporter started
	Exits         *uint64    `json:"exits,omitempty"`
	OldestStart   *time.Time `json:"oldest_start,omitempty"`

	States  map[string]int `json:"states,omitempty"`  // threads by state
	History []float64      `json:"history,omitempty"` // of CPU over the last minutes, the newest last

	// Only of the group that was asked for by name.
	ThreadNames []ThreadName   `json:"thread_names,omitempty"`
	WChans      map[string]int `json:"wchans,omitempty"` // threads by the kernel function they sleep in
	ExitCodes   []ExitCode     `json:"exit_codes,omitempty"`
	Expect      *Expect        `json:"expect,omitempty"` // how many processes there should be
}

// A ThreadName is what the threads of one name do.
type ThreadName struct {
	Name  string   `json:"name"`
	Count int      `json:"count"`
	CPU   *float64 `json:"cpu,omitempty"` // cores
}

// An ExitCode counts processes that ended in one way, since the exporter started.
type ExitCode struct {
	Reason string `json:"reason"`
	Code   string `json:"code"` // the status, or the name of the signal
	Count  uint64 `json:"count"`
}

// Expect is how many processes a group should have, as its rule says.
type Expect struct {
	Min int  `json:"min"`
	Max *int `json:"max,omitempty"`
}
