#!/usr/bin/env bash
# Builds a release: tarballs, packages, bills of materials, checksums. Two runs
# on the same commit give the same bytes on any machine: the output contains no
# time, path or user name. SIGNING_KEY, an OpenSSH key, signs the checksums.
#
#   deploy/packages/release.sh [DIRECTORY [ARCHITECTURE...]]
set -euo pipefail

repository=$(realpath "$(dirname "$0")/../..")
out=$(realpath -m "${1:-$repository/dist}")
cd "$repository/deploy/packages"
shift || true
architectures=("$@")
[ $# -gt 0 ] || architectures=(amd64 arm64 armv7 386 ppc64le s390x riscv64)

VERSION=${VERSION:-$(sed -n 's/^## \[\{0,1\}\([0-9][^] ]*\).*/\1/p' ../../CHANGELOG.md | head -n 1)}
REVISION=${REVISION:-$(git rev-parse HEAD)}
BRANCH=${BRANCH:-HEAD}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
SOURCE_DATE=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
export VERSION SOURCE_DATE_EPOCH TZ=UTC LC_ALL=C CGO_ENABLED=0 GOFLAGS=-mod=readonly

# The release contains the standard library: use the Go version of go.mod, not
# the one on this machine.
export GOTOOLCHAIN=${GOTOOLCHAIN:-$(sed -n 's/^toolchain //p' ../../go.mod)}

info=github.com/prometheus/common/version
ldflags="-s -w -buildid= -X $info.Version=$VERSION -X $info.Revision=$REVISION -X $info.Branch=$BRANCH -X $info.BuildDate=$SOURCE_DATE"

mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

nfpm=${NFPM:-$work/nfpm}
sbom=${CYCLONEDX:-$work/cyclonedx-gomod}
[ -n "${NFPM:-}" ] || go build -o "$nfpm" github.com/goreleaser/nfpm/v2/cmd/nfpm
[ -n "${CYCLONEDX:-}" ] || go build -o "$sbom" github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod

./manual.sh | sed "s/\\\$Mdocdate\\\$/$(date -u -d "@$SOURCE_DATE_EPOCH" '+%B %-d, %Y')/" | gzip -9n >"$work/process-exporter.8.gz"

# An apk contains the modification times of its scripts.
touch -d "@$SOURCE_DATE_EPOCH" scripts/*

# Architecture names of the package formats that differ from Go's.
package_arch() {
	case "$1" in armv7) echo arm7 ;; *) echo "$1" ;; esac
}

for arch in "${architectures[@]}"; do
	name=process-exporter-$VERSION.linux-$arch
	dir=$work/$name
	mkdir -p "$dir"
	GOOS=linux GOARCH=${arch/armv7/arm} GOARM=7 go build -C ../.. -trimpath -buildvcs=false -ldflags "$ldflags" -o "$dir/process-exporter" .
	cp ../../LICENSE ../../README.md ../../CHANGELOG.md ../../config.yaml.example "$dir"
	chmod 0644 "$dir"/*
	chmod 0755 "$dir" "$dir/process-exporter"
	ln -s process-exporter "$dir/process_exporter"
	tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -cf - "$name" | gzip -9n >"$out/$name.tar.gz"
	for packager in deb rpm apk; do
		PACKAGE_ARCH=$(package_arch "$arch") BINARY=$dir/process-exporter OUT=$work \
			"$nfpm" package --config nfpm.yaml --packager "$packager" \
			--target "$out/process-exporter_${VERSION}_linux_$arch.$packager" >"$work/log" || { cat "$work/log" >&2; exit 1; }
	done
	"$sbom" bin -json -noserial -version "$VERSION" -output "$out/$name.cdx.json" "$dir/process-exporter" 2>/dev/null
	sed -i "s/\"timestamp\": \"[^\"]*\"/\"timestamp\": \"$SOURCE_DATE\"/" "$out/$name.cdx.json"
done
(cd "$out" && sha256sum process-exporter[-_]* >checksums.txt)
if [ -n "${SIGNING_KEY:-}" ]; then
	rm -f "$out/checksums.txt.sig"
	ssh-keygen -q -Y sign -n file -f "$SIGNING_KEY" "$out/checksums.txt"
fi
echo "$out: $(wc -l <"$out/checksums.txt") files"
