package main

import (
	"os"
	"strconv"
)

// timerSlack is by how many nanoseconds the sleep of a thread may last longer,
// instead of 50,000.
const timerSlack = 1_000_000

// sleepDeeply lets the threads of the Go runtime oversleep. One of them looks
// every 20 microseconds whether another hangs while a scrape is made: that
// alone was a tenth of the CPU time of a scrape. Threads that start later have
// the slack of those that start them. Where it is not allowed, it costs what it
// cost.
func sleepDeeply() {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	for _, t := range threads {
		_ = os.WriteFile("/proc/"+t.Name()+"/timerslack_ns", strconv.AppendInt(nil, timerSlack, 10), 0)
	}
}
