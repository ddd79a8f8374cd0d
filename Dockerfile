# syntax=docker/dockerfile:1
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS TARGETARCH TARGETVARIANT
ARG VERSION=0.1.0 REVISION=unknown BRANCH=unknown
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH GOARM=${TARGETVARIANT#v} go build -trimpath -buildvcs=false \
    -o /process-exporter -ldflags "-s -w \
      -X github.com/prometheus/common/version.Version=$VERSION \
      -X github.com/prometheus/common/version.Revision=$REVISION \
      -X github.com/prometheus/common/version.Branch=$BRANCH" .
# Permitted, not effective: with +ep nothing would start where the container may
# have none of them. The program raises what it is permitted.
RUN apt-get update && apt-get install -y --no-install-recommends libcap2-bin && \
    setcap cap_sys_ptrace,cap_dac_read_search,cap_bpf,cap_perfmon+p /process-exporter

FROM scratch
ARG VERSION=0.1.0 REVISION=unknown
LABEL org.opencontainers.image.title="process_exporter" \
      org.opencontainers.image.description="Prometheus exporter of what groups of processes use" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY LICENSE /LICENSE
COPY --from=build /process-exporter /bin/process-exporter
# Root, as in the image that this one replaces. It needs two capabilities for
# I/O of others' processes and no others, so run it with
#   --cap-drop=ALL --cap-add=SYS_PTRACE --cap-add=DAC_READ_SEARCH --pid=host
# Any other user, such as --user=65534:65534, gets the same two by the file's
# capabilities, where the container may have them: without the two --cap-add, or
# where the runtime lets no program gain what its parent has not, what cannot be
# read is left out.
USER 0:0
EXPOSE 9256
HEALTHCHECK --interval=30s --timeout=6s CMD ["/bin/process-exporter", "--health-check"]
ENTRYPOINT ["/bin/process-exporter"]
