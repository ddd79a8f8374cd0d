package cli

import "io"

// manual is the text that --man prints before the flags.
const manual = `process_exporter assigns the processes of this machine to groups and exports the
resource use of each group: CPU, memory, I/O, open files and threads.

A YAML file contains the rules:

  process_names:
    - name: "{{.Comm}}"
      cmdline:
        - '.+'

The first rule that matches a process determines its group. A rule matches if
all its selectors match. Common selectors:

  comm     process name (/proc/PID/comm), at most 15 bytes
  exe      first argument (argv[0]); an entry without a slash matches its base name
  cmdline  regular expressions; each must match somewhere in the command line

A process that no rule matches joins the group of its nearest ancestor that has a group.
With no rule file, no --procnames and no --namemapping, each process with a
command line is in the group of its program.

  process_exporter check FILE         checks a rule file
  process_exporter explain PID|NAME   explains the group of a process
  kill -HUP PID                       loads a changed rule file

Flags have one dash or two, and their value follows "=" or a space. Switches take
a value only after "=": -threads=false. docs/configuration.md describes all rules,
config.yaml.example contains examples.

`

// printManual prints a short manual and the help text.
func printManual(w io.Writer) error {
	_, err := io.WriteString(w, manual+usage())
	return err
}
