// Package webui serves the current state of the groups as JSON and as a web
// page, with a history of 15 minutes or of [Options.Retention].
//
// A [Recorder] keeps the results of walks that scrapes cause, and starts a walk only for a
// request. Without Options.Retention it keeps nothing while there are no requests.
package webui

import (
	"strconv"
	"time"
)

// Version is the version of the format of [Report]. Additional fields do not
// change it.
const Version = 1

// A Report is the state of all groups, or of the groups with one name. Fields of
// values that could not be read are absent, never 0. Names of fields are the
// names of metrics without prefix.
type Report struct {
	Version  int            `json:"version"`
	Time     Timestamp      `json:"timestamp_seconds"` // end of the walk
	Interval float64        `json:"interval_seconds"`  // interval of the rates, 0 if there are no rates
	Exporter ExporterStatus `json:"exporter"`
	Machine  *MachineStatus `json:"machine,omitempty"`

	// FailedExits is the number of processes that failed in the last FailedExitsSeconds, which is
	// at most five minutes, and shorter if the Recorder has recorded walks for a shorter time. Both
	// are nil if the source does not report exits.
	FailedExits        *uint64  `json:"failed_exits,omitempty"`
	FailedExitsSeconds *float64 `json:"failed_exits_seconds,omitempty"`

	// HistoryTimes are the times of the values in the histories of groups, the newest last. Their distances
	// can differ. A shorter history has the values of the last of these times.
	HistoryTimes []Timestamp `json:"history_timestamps_seconds,omitempty"`

	Groups []Group `json:"groups"` // sorted by name
}

// A Timestamp is a time that JSON represents as Unix time in seconds. The zero
// value is 0.
type Timestamp struct{ time.Time }

// MarshalJSON implements [json.Marshaler].
func (t Timestamp) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("0"), nil
	}
	return strconv.AppendFloat(nil, float64(t.UnixMilli())/1000, 'f', -1, 64), nil
}

// UnmarshalJSON implements [json.Unmarshaler].
func (t *Timestamp) UnmarshalJSON(text []byte) error {
	seconds, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return err
	}
	*t = Timestamp{}
	if seconds != 0 {
		t.Time = time.UnixMilli(int64(seconds * 1000)).UTC()
	}
	return nil
}

// ExporterStatus is the state of the exporter itself.
type ExporterStatus struct {
	Version          string    `json:"version"`
	Revision         string    `json:"revision,omitempty"`
	Source           string    `json:"source"`
	SocketSource     string    `json:"socket_source,omitempty"` // "" without the collector network
	StartTime        Timestamp `json:"process_start_time_seconds"`
	ScrapeDuration   float64   `json:"scrape_duration_seconds"`
	ScrapeSuccess    bool      `json:"scrape_success"`
	ScrapeIncomplete bool      `json:"scrape_incomplete"`
	Error            string    `json:"error,omitempty"`        // why the last walk failed
	Unreadable       int       `json:"unreadable_procs"`       // processes with an unreadable file
	Unresponsive     int       `json:"unresponsive_processes"` // skipped because a read of their files is blocked
	LostExitEvents   uint64    `json:"lost_exit_events_total"`
	GroupLimitHits   uint64    `json:"group_limit_hits_total"`
	SmapsBudget      float64   `json:"smaps_budget_seconds"` // CPU time per walk for smaps files, 0 if they are not read
	ReloadSuccessful bool      `json:"config_last_reload_successful"`
	ReloadTime       Timestamp `json:"config_last_reload_success_timestamp_seconds"`
}

// A Group is the state of one group. Pointers are nil for unknown values.
type Group struct {
	Name   string            `json:"group"`
	Labels map[string]string `json:"labels,omitempty"`
	Rule   *Rule             `json:"rule,omitempty"` // nil for the group _other and after a reload without the rule

	Procs           int      `json:"num_procs"`
	NumThreads      *int     `json:"num_threads,omitempty"`
	CPU             *float64 `json:"cpu_ratio,omitempty"` // user and system, 1 is one core
	CPUUser         *float64 `json:"cpu_user_ratio,omitempty"`
	CPUSystem       *float64 `json:"cpu_system_ratio,omitempty"`
	ReadBytes       *float64 `json:"read_bytes_per_second,omitempty"`
	WriteBytes      *float64 `json:"write_bytes_per_second,omitempty"`
	ContextSwitches *float64 `json:"context_switches_per_second,omitempty"`
	MajorFaults     *float64 `json:"major_page_faults_per_second,omitempty"`

	Network

	ResidentBytes     *uint64  `json:"resident_bytes,omitempty"`
	VirtualBytes      *uint64  `json:"virtual_bytes,omitempty"`
	ProportionalBytes *uint64  `json:"proportional_bytes,omitempty"`
	UniqueBytes       *uint64  `json:"unique_bytes,omitempty"`
	SwappedBytes      *uint64  `json:"swapped_bytes,omitempty"`
	SmapsAge          *float64 `json:"smaps_age_seconds,omitempty"` // age of the oldest proportional or unique value
	OpenFDs           *uint64  `json:"open_filedesc,omitempty"`
	WorstFDRatio      *float64 `json:"worst_fd_ratio,omitempty"` // of the process closest to its limit
	OldestStart       *int64   `json:"oldest_start_time_seconds,omitempty"`
	Starts            *uint64  `json:"starts_total,omitempty"` // since the exporter started, as Exits
	Exits             *uint64  `json:"exits_total,omitempty"`
	FailedExits       *uint64  `json:"failed_exits,omitempty"` // in the time of [Report.FailedExitsSeconds]

	ExpectedMin *int `json:"expected_min_procs,omitempty"` // nil if the rule expects no number
	ExpectedMax *int `json:"expected_max_procs,omitempty"`
	Matched     *int `json:"matched_procs,omitempty"` // processes to compare with the bounds

	States     map[string]int `json:"states,omitempty"`            // threads by state, without states of no thread
	CPUHistory []float64      `json:"cpu_ratio_history,omitempty"` // CPU of the last five minutes, newest last

	ResidentHistory []uint64 `json:"resident_bytes_history,omitempty"` // as CPUHistory; only on request

	// Only in reports about one name.
	ThreadNames []ThreadTotals `json:"threads,omitempty"`
	WChans      map[string]int `json:"threads_wchan,omitempty"` // threads by the kernel function in which they sleep
	ExitCounts  []ExitCount    `json:"exits,omitempty"`
}

// A Rule identifies the rule that created a group.
type Rule struct {
	Position int    `json:"position"` // in the configuration, from 1
	Name     string `json:"name"`     // template of the group name
	Line     int    `json:"line,omitempty"`
}

// ThreadTotals is the state of all threads of a group with one name.
type ThreadTotals struct {
	Name  string   `json:"threadname"`
	Count int      `json:"thread_count"`
	CPU   *float64 `json:"cpu_ratio,omitempty"`
}

// An ExitCount counts exits with one code since the exporter started.
type ExitCount struct {
	Reason string `json:"reason"`
	Code   string `json:"code"` // exit status or name of the signal
	Count  uint64 `json:"exits_total"`
}
