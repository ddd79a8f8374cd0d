#!/bin/sh
# Starts the service after the first installation. After an upgrade, restarts it
# only if it ran. A disabled or masked unit stays so. Does nothing without
# systemd.
#
# Debian calls this with "configure" and the old version, empty at first;
# rpm with the number of versions installed; apk with the new version.
set -e
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
