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
.Nm process-exporter ,
.Nm process_exporter
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
.Nm
.Cm top
.Sh DESCRIPTION
At every scrape
.Nm
reads all processes of the machine, assigns each to a group that rules define,
and exports what each group uses: CPU, memory, I/O, file descriptors, threads.
Without rules, each process with a command line is in a group with its name.
.Pp
.Cm check
prints the errors of a configuration and the effect of each rule on this
machine.
.Cm explain
prints why a process is in its group.
.Cm groups
prints all groups as a table, and
.Cm top
updates such a table.
.Cm inspect
prints all details of a process.
.Pp
.Dv SIGHUP
reloads the configuration; if it is invalid, the previous one stays in use.
.Dv SIGTERM
stops the exporter after the scrapes in progress.
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
A commented configuration, and a drop-in for the service that reads processes
with BPF instead of
.Pa /proc .
.El
.Sh EXIT STATUS
.Ex -std
TAIL
