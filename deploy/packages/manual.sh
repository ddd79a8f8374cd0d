#!/bin/sh
# Prints the manual page process-exporter(8). The flags come from the generated
# docs/flags.md.
set -eu
cd "$(dirname "$0")/../.."
cat <<'HEAD'
.Dd $Mdocdate$
.Dt PROCESS-EXPORTER 8
.Os
.Sh NAME
.Nm process-exporter
.Nd Prometheus exporter for process groups
.Sh SYNOPSIS
.Nm
.Op Ar flags
.Nm
.Cm check
.Op Ar file
.Nm
.Cm explain
.Ar pid | name ...
.Nm
.Cm groups
.Nm
.Cm inspect
.Ar pid | name ...
.Sh DESCRIPTION
At every scrape
.Nm
looks at all processes of the machine, puts each into a group that rules define,
and serves what each group uses: CPU, memory, I/O, file descriptors, threads.
Without rules every process that has a command line is in the group of its name.
.Pp
.Cm check
says what is wrong with a configuration and what each rule does on this machine,
.Cm explain
why a process is in its group,
.Cm groups
prints all groups as a table, and
.Cm inspect
tells everything about a process.
.Pp
.Dv SIGHUP
makes it read its configuration again; a bad one leaves the old one in force.
.Dv SIGTERM
makes it finish the scrapes under way and end.
.Sh OPTIONS
One dash or two, with the value after an equals sign or in the next argument.
Switches take a value only after an equals sign.
.Bl -tag -width Ds
HEAD
awk -F ' [|] ' '/^[|] `--/ {
	flag = $1; gsub(/[|` ]|--/, "", flag)
	default_ = $2; gsub(/[` ]/, "", default_)
	text = $3; gsub(/`| [|]$/, "", text); gsub(/\\/, "\\e", text)
	gsub(/[.] /, ".\n", text)
	printf ".It Fl Fl %s\n%s\n", flag, text
	if (default_ != "" && default_ != "|") printf "The default is %s .\n", default_
}' docs/flags.md
cat <<'TAIL'
.El
.Sh FILES
.Bl -tag -width Ds
.It Pa /etc/process-exporter/all.yaml
The rules.
.It Pa /etc/default/process-exporter
Flags of the service, in
.Ev OPTS
and
.Ev ARGS .
.It Pa /usr/share/doc/process-exporter/examples
A commented configuration, and a drop-in that lets the service ask the kernel
instead of
.Pa /proc .
.El
.Sh EXIT STATUS
.Ex -std
TAIL
