// Command textparse parses scrape responses with the parsers of Prometheus. Each response on its
// standard input consists of a line with the content type, a line with the length, and the body. For
// each it prints the number of series or an error.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		contentType, err := in.ReadString('\n')
		if err != nil {
			return
		}
		var size int
		if _, err := fmt.Fscanf(in, "%d\n", &size); err != nil {
			fmt.Fprintln(os.Stderr, "textparse:", err)
			os.Exit(1)
		}
		body := make([]byte, size)
		if _, err := io.ReadFull(in, body); err != nil {
			fmt.Fprintln(os.Stderr, "textparse:", err)
			os.Exit(1)
		}
		series, err := count(body, strings.TrimSpace(contentType))
		if err != nil {
			fmt.Printf("error after %d series: %q\n", series, err)
			continue
		}
		fmt.Println(series)
	}
}

// count returns the number of series of a response. Duplicate series are an error.
func count(body []byte, contentType string) (int, error) {
	parser, err := textparse.New(body, contentType, labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		return 0, err
	}
	seen := make(map[string]bool)
	for {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			return len(seen), nil
		}
		if err != nil {
			return len(seen), err
		}
		if entry != textparse.EntrySeries {
			continue
		}
		text, _, _ := parser.Series()
		var l labels.Labels
		parser.Labels(&l)
		if seen[string(text)] {
			return len(seen), fmt.Errorf("duplicate series %s", text)
		}
		seen[string(text)] = true
	}
}
