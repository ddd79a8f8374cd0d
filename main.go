// Command process_exporter exports the resource use of groups of processes as
// Prometheus metrics.
package main

import (
	"os"

	"github.com/seed57308aee/process_exporter/internal/cli"
)

func main() { os.Exit(cli.Run(os.Args[1:])) }
