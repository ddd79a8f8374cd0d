#!/usr/bin/env bash
# Installs what the integration tests compare with: a real Prometheus, the
# exporter that this one succeeds, psutil, and a compiler for the programs that
# run in the kernel. As root on Debian it installs
# what is missing; elsewhere it says which tests will be skipped. With CI=true
# something missing is a failure, since a skipped test there proves nothing.
set -euo pipefail

# How each package shows that it is there. Debian's psutil is for Debian's own
# Python, which another one may hide.
declare -A shown_by=(
  [prometheus]="command -v prometheus"
  [prometheus-process-exporter]="command -v prometheus-process-exporter"
  [python3-psutil]="/usr/bin/python3 -c 'import psutil'"
  [runc]="PATH=\$PATH:/usr/sbin command -v runc"
  [bpftool]="PATH=\$PATH:/usr/sbin command -v bpftool"
  [gcc]="command -v cc"
  [libc6-dev]="test -e /usr/include/stdio.h"
  [clang]="command -v clang"
  [llvm]="command -v llvm-strip"
  [libbpf-dev]="test -e /usr/include/bpf/bpf_helpers.h"
)

find_missing() {
  missing=()
  local package
  for package in "${!shown_by[@]}"; do
    bash -c "${shown_by[$package]}" >/dev/null 2>&1 || missing+=("$package")
  done
}

# Debian starts the services of a package that it installs, and these would
# take the ports of this machine. A policy-rc.d that answers 101 forbids it.
install_missing() {
  local policy=/usr/sbin/policy-rc.d ours=
  if [ ! -e "$policy" ]; then
    ours=yes
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  local status=0
  { apt-get update -q && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -y -q --no-install-recommends "${missing[@]}"; } || status=$?
  [ -z "$ours" ] || rm -f "$policy"
  return "$status"
}

find_missing
if [ "${#missing[@]}" -gt 0 ] && [ "$(uname -s)" = Linux ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  install_missing >&2 || echo "could not install: ${missing[*]}" >&2
  find_missing
fi
if [ "${#missing[@]}" -gt 0 ]; then
  echo "not installed, so the tests that need them are skipped: ${missing[*]}" >&2
  [ "${CI:-}" != true ] || exit 1
fi
