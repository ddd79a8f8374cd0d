#!/bin/sh
# Stops the service before a removal, but not during an upgrade.
set -e
[ -d /run/systemd/system ] || exit 0
case "$1" in
remove | 0)
	systemctl --no-reload disable --now process-exporter.service process-exporter-activated.socket process-exporter-activated.service || true
	;;
esac
