package grouping

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"syscall"
	"time"

	"github.com/seed57308aee/process_exporter/platform"
)

// maxConfigBytes is far above any configuration written by hand or by a tool,
// and keeps a wrong path, such as that of a log, from filling the memory.
const maxConfigBytes = 1 << 20

// readTime is how long a file may have nothing to say.
const readTime = 5 * time.Second

// A Config is a list of rules: the [Matcher] of a configuration file. It does
// not change once it is made.
type Config struct {
	rules    []*Rule
	labels   []string
	warnings []Warning
}

// Load reads the configuration file at path. Errors match [*ConfigError].
//
// What is no regular file is refused, for a FIFO may never answer and a device
// may never end.
func Load(path string) (*Config, error) {
	text, err := readRegular(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, text)
}

func readRegular(path string) ([]byte, error) {
	refuse := func(text string, err error) error {
		return &ConfigError{Path: path, Text: text, Err: err}
	}
	// Without O_NONBLOCK the open of a FIFO waits until somebody writes to it.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, refuse("cannot be opened: "+cause(err).Error(), err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, refuse("cannot be examined: "+cause(err).Error(), err)
	}
	if !info.Mode().IsRegular() {
		return nil, refuse("is not a regular file; give the path of a YAML file", nil)
	}
	// Some that call themselves regular never end, such as /proc/kmsg. Others know no
	// deadline, and need none.
	_ = f.SetReadDeadline(time.Now().Add(readTime))
	text, err := io.ReadAll(io.LimitReader(f, maxConfigBytes+1))
	if err != nil {
		return nil, refuse("cannot be read: "+cause(err).Error(), err)
	}
	if len(text) > maxConfigBytes {
		return nil, refuse(fmt.Sprintf("has more than %d bytes; is it the right file?", maxConfigBytes), nil)
	}
	return text, nil
}

// cause spares a message the path, which is in it already.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// Parse reads the text of a configuration. The path only appears in messages.
// Errors match [*ConfigError].
func Parse(path string, text []byte) (*Config, error) {
	d := decoder{path: path, regexps: make(map[string]*regexp.Regexp), warned: make(map[Warning]bool)}
	rules, err := d.decode(text)
	if err != nil {
		return nil, err
	}
	return &Config{rules: rules, labels: labelNames(rules), warnings: d.sortedWarnings()}, nil
}

// Default is what runs without any configuration: every process that has a
// command line, which kernel threads have not, in the group of its name.
func Default() *Config {
	const text = "{{.Comm}}"
	name, err := parseTemplate(text)
	if err != nil {
		panic(err)
	}
	return &Config{rules: []*Rule{{
		Position: 1,
		Template: text,
		selectors: []selector{&expressions{
			expressionKind: expressionKinds[0], all: true, res: []*regexp.Regexp{regexp.MustCompile(".+")},
		}},
		name: name,
	}}}
}

// Warnings returns what works, but is hardly meant, by line.
func (c *Config) Warnings() []Warning { return c.warnings }

// Rules implements [Matcher].
func (c *Config) Rules() []*Rule { return c.rules }

// LabelNames implements [Matcher].
func (c *Config) LabelNames() []string { return c.labels }

// Match implements [Matcher]: the first rule that wants the process decides.
func (c *Config) Match(id *platform.Identity) Match {
	s := subject{id: id}
	for _, r := range c.rules {
		if r.match(&s) {
			return r.place(&s, len(c.labels))
		}
	}
	return Match{}
}

// Needs returns the words that any rule looks at.
func (c *Config) Needs() platform.IdentityFields {
	var words platform.IdentityFields
	for _, r := range c.rules {
		words |= r.needs()
	}
	return words
}
