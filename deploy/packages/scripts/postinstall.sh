#!/bin/sh
# Starts the service after the first installation. After an upgrade, restarts it
# only if it ran. A disabled or masked unit stays so. Does nothing without systemd,
# except that the first installation copies the flags of Debian's package, and that it
# checks the flags.
#
# Debian calls this with "configure" and the old version, empty at first;
# rpm with the number of versions installed; apk with the new version.
set -e

theirs=${DPKG_ROOT:-}/etc/default/prometheus-process-exporter
ours=${DPKG_ROOT:-}/etc/default/process-exporter
program=${DPKG_ROOT:-}/usr/bin/process-exporter

# Prints the last assignment of ARGS with its continuation lines, unchanged: the
# same parser, that of systemd, reads it in the other file.
their_args() {
	sed -n -e '/^[[:space:]]*ARGS=/{:next' -e '/\\$/{N;b next' -e '}' -e 's/^[[:space:]]*//;h' -e '}' -e '${x;p' -e '}' "$theirs"
}

has_flag() { printf '%s' "$args" | grep -Eq "(^|[[:space:]\"'=])--?($1)([[:space:]\"'=]|\$)"; }

# Copies ARGS of prometheus-process-exporter, which this package replaces. Removes
# flags from OPTS that ARGS sets: two rule files are an error, and a second
# --web.listen-address would be a second listener.
copy_args() {
	[ -r "$theirs" ] && [ -w "$ours" ] || return 0
	args=$(their_args)
	[ -n "$(printf '%s' "$args" | sed "s/^ARGS=//" | tr -d "\"' \n\t\\\\")" ] || return 0
	quotes=$(printf '%s' "$args" | sed "s/\\\\[\"']//g")
	double=$(printf '%s' "$quotes" | tr -cd '"' | wc -c)
	single=$(printf '%s' "$quotes" | tr -cd "'" | wc -c)
	if ! grep -qx "ARGS=''" "$ours" || [ $((double % 2)) = 1 ] || [ $((single % 2)) = 1 ]; then
		echo "process-exporter: copy your flags, ARGS in $theirs, to $ours" >&2
		return 0
	fi
	if has_flag 'config\.path|procnames|namemapping'; then
		sed -i "s|^OPTS='--config.path /etc/process-exporter/all.yaml \\(.*\\)|OPTS='\\1|" "$ours"
	fi
	if has_flag 'web\.listen-address'; then
		sed -i "s| *--web.listen-address=:9256'|'|" "$ours"
	fi
	sed -i "/^ARGS=''\$/d" "$ours"
	printf '# From %s.\n%s\n' "$theirs" "$args" >>"$ours"
	echo "process-exporter: copied ARGS from $theirs to $ours" >&2
}

# Prints the value of a variable of a file of systemd's format: without continuation
# lines, comments and the outer quotes.
value_of() {
	sed -e ':next' -e '/\\$/{N;s/\\\n//;b next' -e '}' "$2" | sed -n "s/^[[:space:]]*$1=//p" | tail -n 1 | xargs printf '%s'
}

# Prints what is wrong with the flags, as the service would when it starts. xargs splits
# them at spaces and removes quotes, as systemd does with $OPTS and $ARGS.
check_flags() {
	[ -r "$ours" ] && [ -x "$program" ] || return 0
	flags=$(value_of OPTS "$ours" && echo && value_of ARGS "$ours") || return 0
	message=$(printf '%s\n' "$flags" | xargs "$program" --config.check 2>&1) ||
		printf '%s\n' "$message" "process-exporter: correct the flags in $ours, or the files that they name" >&2
}

case "$1 $2" in "configure ") copy_args ;; esac
check_flags

[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload
case "$1 $2" in
"configure " | "1 ")
	systemctl preset process-exporter.service >/dev/null 2>&1 || true
	if systemctl --quiet is-enabled process-exporter.service 2>/dev/null; then
		systemctl start process-exporter.service || true
	fi
	;;
*) systemctl try-restart process-exporter.service process-exporter-activated.service || true ;;
esac
