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
# Permitted, not effective: with +ep the program could not start in a container
# without these capabilities. The program raises what is permitted.
RUN apt-get update && apt-get install -y --no-install-recommends libcap2-bin && \
    setcap cap_sys_ptrace,cap_dac_read_search,cap_bpf,cap_perfmon+p /process-exporter
# The name of the program in the documentation.
RUN mkdir /links && ln -s process-exporter /links/process_exporter

FROM scratch
ARG VERSION=0.1.0 REVISION=unknown
LABEL org.opencontainers.image.title="process_exporter" \
      org.opencontainers.image.description="Prometheus exporter for process groups" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY LICENSE /LICENSE
COPY --from=build /process-exporter /bin/process-exporter
COPY --from=build /links/ /bin/
# Root, as in the image of ncabatoff/process-exporter. It needs two capabilities
# for I/O of other users' processes, so run it with
#   --cap-drop=ALL --cap-add=SYS_PTRACE --cap-add=DAC_READ_SEARCH --pid=host
# Another user, such as --user=65534:65534, gets the same two from the file
# capabilities if the container allows them. Data that cannot be read is absent.
USER 0:0
EXPOSE 9256
HEALTHCHECK --interval=30s --timeout=6s CMD ["/bin/process-exporter", "--health-check"]
ENTRYPOINT ["/bin/process-exporter"]
