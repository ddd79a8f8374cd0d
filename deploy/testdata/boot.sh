#!/bin/bash
# Runs in a container with systemd. Installs the package, uses the service as an
# administrator would, and writes a line per step to /out/steps. Stops at the
# first failure.
exec >/out/log 2>&1
set -x
trap 'echo "line $LINENO failed" >>/out/steps; journalctl --no-pager -n 80 -u process-exporter -u process-exporter-activated; sync; exit 1' ERR
set -E
not() { if "$@"; then false; fi; }
ok() { echo "$1" >>/out/steps; }
eventually() { for _ in $(seq 300); do "$@" && return 0; sleep 0.1; done; false; }
scrape() { curl -sf http://127.0.0.1:9256/metrics >/out/metrics; }
restarts() { systemctl show -P NRestarts process-exporter; }
uses_source() { scrape && grep -q "^namedprocess_exporter_source_info{source=\"$1\"} 1" /out/metrics; }
value() { sed -n "s/^$1 //p" /out/metrics; }
ip link set lo up 2>/dev/null || true

# Runs the shell code of a page: block PAGE NUMBER.
block() { cat "/out/blocks/$1.$2"; bash -ex "/out/blocks/$1.$2"; }
layers() { for layer in "$@"; do grep -qx "namedprocess_exporter_sandbox{layer=\"$layer\"} 1" /out/metrics || return 1; done; }
dpkg() { command dpkg --force-depends "$@"; } # the package database of this system is empty
export -f dpkg

mkdir -p /packages/dist
cp /packages/old.deb /packages/dist/process-exporter_0.1.0_linux_amd64.deb
cd /packages
block systemd 1
eventually scrape
systemctl is-active process-exporter
ok installed

[ "$(value namedprocess_exporter_scrape_success)" = 1 ]
not grep -q ^namedprocess_namegroup_unreadable_procs /out/metrics
grep -q '^namedprocess_namegroup_read_bytes_total' /out/metrics
[ "$(systemctl show -P DynamicUser process-exporter)" = yes ]
layers capabilities no_new_privs undumpable seccomp
ok "reads all processes as a non-root user"

echo '# edited' >>/etc/process-exporter/all.yaml
systemctl reload process-exporter
eventually bash -c 'journalctl -u process-exporter | grep -c "rules loaded" | grep -qx 2'
echo 'process_names: broken' >/tmp/broken
cp /etc/process-exporter/all.yaml /tmp/good
cp /tmp/broken /etc/process-exporter/all.yaml
systemctl reload process-exporter
eventually bash -c 'curl -s http://127.0.0.1:9256/metrics | grep -qx "namedprocess_exporter_config_last_reload_successful 0"'
cp /tmp/good /etc/process-exporter/all.yaml
systemctl is-active process-exporter
ok reloads

mkdir -p /etc/systemd/system/process-exporter.service.d
printf '[Service]\nWatchdogSec=1\n' >/etc/systemd/system/process-exporter.service.d/watchdog.conf
systemctl daemon-reload
systemctl restart process-exporter
first=$(systemctl show -P MainPID process-exporter)
kill -STOP "$first"
eventually bash -c '[ "$(systemctl show -P NRestarts process-exporter)" = 1 ]'
eventually scrape
[ "$(systemctl show -P MainPID process-exporter)" != "$first" ]
rm -r /etc/systemd/system/process-exporter.service.d
systemctl daemon-reload
ok "the watchdog restarts the service"

before=$(systemctl show -P MainPID process-exporter)
dpkg -i /packages/new.deb
grep -qx '# edited' /etc/process-exporter/all.yaml
eventually scrape
[ "$(systemctl show -P MainPID process-exporter)" != "$before" ]
grep -q 'version="9.8.7"' /out/metrics
ok "an upgrade keeps the edited configuration and starts the new one"

systemctl disable --now process-exporter
dpkg -i /packages/new.deb
not systemctl is-active process-exporter
not systemctl is-enabled process-exporter
ok "an upgrade leaves a disabled service alone"

systemctl enable --now process-exporter
block systemd 2
not systemctl is-active process-exporter-activated.service
eventually scrape
systemctl is-active process-exporter-activated.service
[ "$(value namedprocess_exporter_scrape_success)" = 1 ]
not grep -q ^namedprocess_namegroup_unreadable_procs /out/metrics
layers capabilities no_new_privs undumpable seccomp
systemctl disable --now process-exporter-activated.socket
systemctl stop process-exporter-activated.service
ok "socket activation"

systemctl enable --now process-exporter
block systemd 3
eventually uses_source bpf
layers capabilities no_new_privs undumpable seccomp
exits() { scrape && [ "$(sed -n 's/^namedprocess_namegroup_exits_total{.*} //p' /out/metrics | paste -sd+ | bc)" -ge 1 ]; }
eventually exits
rm -r /etc/systemd/system/process-exporter.service.d
systemctl daemon-reload && systemctl restart process-exporter
eventually uses_source procfs
ok "the drop-in enables the source bpf"

mkdir -p /usr/local/bin
cp /usr/bin/process-exporter /usr/local/bin/process_exporter
block migration 1
eventually scrape
[ "$(readlink "/proc/$(systemctl show -P MainPID process-exporter)/exe")" = /usr/local/bin/process_exporter ]
rm -r /etc/systemd/system/process-exporter.service.d
systemctl daemon-reload && systemctl restart process-exporter
ok "another executable for the unit"

eventually scrape
dpkg -r process-exporter
not systemctl is-active process-exporter
[ ! -e /usr/bin/process-exporter ]
grep -qx '# edited' /etc/process-exporter/all.yaml
ok "a removal keeps the edited configuration"
dpkg -P process-exporter
[ ! -e /etc/process-exporter/all.yaml ]
ok "a purge removes the configuration"
