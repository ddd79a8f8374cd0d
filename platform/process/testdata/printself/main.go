// Command printself prints all attributes of its own process.
package main

import (
	"fmt"
	"os"

	"github.com/seed57308aee/process_exporter/platform/process"
)

func main() {
	p, err := process.Open(os.Getpid())
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	defer p.Close()
	values, err := p.AsMap("denied")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for _, name := range process.Attrs() {
		fmt.Println(name, values[name])
	}
}
