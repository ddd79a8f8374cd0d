package grouping

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/seed57308aee/process_exporter/grouping/expression"
	"github.com/seed57308aee/process_exporter/platform"
)

// maxConfigBytes is far above the size of any real configuration. It keeps a wrong
// path, such as that of a log file, from filling the memory.
const maxConfigBytes = 1 << 20

// configReadTimeout limits a read of the configuration file.
const configReadTimeout = 5 * time.Second

// A Config is the [Matcher] of a configuration file: a list of rules. It is immutable.
type Config struct {
	rules    []*Rule
	labels   []string
	warnings []Warning
}

// Load reads the configuration file at path. Errors match [*ConfigError].
//
// Load rejects everything but regular files, because a read of a FIFO can block and a
// device can be infinite.
func Load(path string) (*Config, error) {
	text, err := readRegular(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, text)
}

func readRegular(path string) ([]byte, error) {
	fail := func(text string, err error) error {
		return &ConfigError{Path: path, Text: text, Err: err}
	}
	// Without O_NONBLOCK, opening a FIFO blocks until a writer opens it.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fail("cannot be opened: "+withoutPath(err).Error(), err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fail("cannot be examined: "+withoutPath(err).Error(), err)
	}
	if !info.Mode().IsRegular() {
		return nil, fail("is not a regular file; give the path of a YAML file", nil)
	}
	// Some files that claim to be regular block, such as /proc/kmsg. Most regular files
	// do not support deadlines, so the error is ignored.
	_ = f.SetReadDeadline(time.Now().Add(configReadTimeout))
	text, err := io.ReadAll(io.LimitReader(f, maxConfigBytes+1))
	if err != nil {
		return nil, fail("cannot be read: "+withoutPath(err).Error(), err)
	}
	if len(text) > maxConfigBytes {
		return nil, fail(fmt.Sprintf("is larger than %d bytes; is it the right file?", maxConfigBytes), nil)
	}
	return text, nil
}

// withoutPath returns the cause of an [fs.PathError], whose path the message already
// contains.
func withoutPath(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// Parse parses the text of a configuration. The path is only used in messages.
// Errors match [*ConfigError].
func Parse(path string, text []byte) (*Config, error) {
	d := decoder{path: path, expressions: make(map[string]*expression.Expression), warned: make(map[Warning]bool)}
	rules, err := d.decode(text)
	if err != nil {
		return nil, err
	}
	return &Config{rules: rules, labels: labelNames(rules), warnings: d.sortedWarnings()}, nil
}

// Default returns the configuration that applies without a file and flags: every
// process with a command line is in the group of its program. Kernel threads have no
// command line.
func Default() *Config {
	const text = "{{.Program}}"
	name, err1 := parseTemplate(text)
	anything, err2 := expression.Parse(".+")
	if err := errors.Join(err1, err2); err != nil {
		panic(err)
	}
	return &Config{rules: []*Rule{{
		Position: 1,
		Template: text,
		selectors: []selector{&regexpSelector{
			regexpKind: regexpKinds[0], all: true, expressions: []*expression.Expression{anything},
		}},
		nameTemplate: name,
	}}}
}

// Warnings returns the likely mistakes in the configuration, sorted by line.
func (c *Config) Warnings() []Warning { return c.warnings }

// Rules implements [Matcher].
func (c *Config) Rules() []*Rule { return c.rules }

// LabelNames implements [Matcher].
func (c *Config) LabelNames() []string { return c.labels }

// Match implements [Matcher]. It uses the first rule that matches the process.
func (c *Config) Match(id *platform.Identity) Match {
	p := candidate{id: id}
	for _, r := range c.rules {
		if r.match(&p) {
			return r.result(&p, len(c.labels))
		}
	}
	return Match{Fields: p.read}
}

// Needs implements [Matcher]. It returns the fields that any rule reads.
func (c *Config) Needs() platform.IdentityFields {
	var fields platform.IdentityFields
	for _, r := range c.rules {
		fields |= r.needs()
	}
	return fields
}
