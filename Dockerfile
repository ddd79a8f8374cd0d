# syntax=docker/dockerfile:1
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS TARGETARCH
ARG VERSION=0.1.0 REVISION=unknown BRANCH=unknown
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -o /process-exporter \
    -ldflags "-s -w \
      -X github.com/prometheus/common/version.Version=$VERSION \
      -X github.com/prometheus/common/version.Revision=$REVISION \
      -X github.com/prometheus/common/version.Branch=$BRANCH" .

FROM scratch
ARG VERSION=0.1.0 REVISION=unknown
LABEL org.opencontainers.image.title="process_exporter" \
      org.opencontainers.image.description="Prometheus exporter of what groups of processes use" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY LICENSE /LICENSE
COPY --from=build /process-exporter /bin/process-exporter
# Root, as in the image that this one replaces: outside of podman a user other
# than root gets no capabilities from --cap-add, and I/O of others' processes
# takes two. Root needs no others, so run it with
#   --cap-drop=ALL --cap-add=SYS_PTRACE --cap-add=DAC_READ_SEARCH --pid=host
# or as any other user without them: what cannot be read is then left out.
USER 0:0
EXPOSE 9256
HEALTHCHECK --interval=30s --timeout=6s CMD ["/bin/process-exporter", "--health-check"]
ENTRYPOINT ["/bin/process-exporter"]
