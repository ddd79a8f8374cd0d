package main

import (
	"io"
)

// writeUsage prints all flags with their meanings.
func writeUsage(w io.Writer) error {
	app := newApp(new(settings))
	app.UsageWriter(w)
	app.Usage(nil)
	return nil
}

// manual is what -man prints before the flags.
const manual = `process_exporter walks over the processes of this machine at every scrape, puts
each into a group and exports what each group uses: CPU, memory, I/O, files,
threads.

Rules in a YAML file say which process is in which group:

  process_names:
    - name: "{{.Comm}}"
      cmdline:
        - '.+'

The first rule that matches a process wins. Every selector of a rule has to
match: comm (the kernel's name of the process, at most 15 bytes), exe (the first
argument of its command line), cmdline (regular expressions on all of it). A
process that no rule matches joins the group of its nearest ancestor that is in
one. Check a file with "process_exporter check FILE", ask why a process is
where it is with "process_exporter explain PID|NAME", put a changed file in force
with SIGHUP.

Without a file, --procnames or --namemapping, every process that has a command
line is in the group of its name.

Flags may be written -name or --name, with their value after "=" or a space.
Switches take a value only after "=": -threads=false. docs/configuration.md in
the source describes the rules in full, config.yaml.example has examples.

`

// writeManual prints a short manual.
func writeManual(w io.Writer) error {
	if _, err := io.WriteString(w, manual); err != nil {
		return err
	}
	return writeUsage(w)
}
