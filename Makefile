# make run       serve the processes of this machine on :9256; needs only Go
# make build     build ./process_exporter
# make test      everything that a change must pass; SKIP_INSTALL=1 installs nothing
# make lint      static analysis and the word list
# make bench     benchmarks, and the cost of the whole program
# make fuzz      fuzz every target for FUZZTIME
# make soak      one hour of mixed load; SOAK=10m for less
# make chaos     hostile clients and processes with full load
# make kernels   boot other kernels in QEMU and check the exporter on each
# make vulns     known vulnerabilities that the code can reach
# make release   tarballs, packages, bills of materials and checksums, in dist/
# make generate  rewrite generated files
# make preview   redraw the pictures of the dashboards

VERSION  ?= $(shell sed -n 's/^## \[\{0,1\}\([0-9][^] ]*\).*/\1/p' CHANGELOG.md | head -n 1)
REVISION ?= $(shell git rev-parse --verify -q HEAD || echo unknown)
BRANCH   ?= $(shell git symbolic-ref --short -q HEAD || echo unknown)
FUZZTIME ?= 300000x
LOADTIME ?= 5s
COST     ?= ../shared/bench/cost.py

INFO    := github.com/prometheus/common/version
LDFLAGS := -s -w -X $(INFO).Version=$(VERSION) -X $(INFO).Revision=$(REVISION) -X $(INFO).Branch=$(BRANCH)

.PHONY: kernels soak vulns release preview run build test lint bench generate fuzz chaos

run: build
	./process_exporter

build:
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o process_exporter .

# Runs test/e2e first and beside the other packages: it takes longest, and mostly waits.
test: lint
	go mod tidy -diff
	testdata/prerequisites.sh
	go test -race -timeout 25m ./test/e2e ./...
	go -C deploy/kubernetes/test vet ./...
	go -C deploy/kubernetes/test test ./...

# The analyzers and the word list of test/lint, a separate module, so that the
# product does not depend on them.
TOOLS := $(CURDIR)/.cache/bin
lint:
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "not formatted, run gofmt -w on: $$unformatted"; exit 1; }
	@mkdir -p $(TOOLS)
	go -C test/lint build -o $(TOOLS)/ . ./words honnef.co/go/tools/cmd/staticcheck github.com/mgechev/revive
	go -C test/lint vet ./...
	go -C test/lint test ./...
	go vet ./...
	go vet -vettool=$(TOOLS)/lint ./...
	$(TOOLS)/staticcheck ./...
	$(TOOLS)/revive -config test/lint/revive.toml -set_exit_status ./...
	$(TOOLS)/words

# Compares the CPU time of a scrape with bare system calls and with the
# predecessor, with the same rules. LEAN turns off the expensive metrics.
RULES     := -config.path deploy/systemd/all.yaml -web.listen-address 127.0.0.1:{port}
LEAN      := -threads=false -gather-smaps=false
COSTFLAGS ?= --procs 5000 --busy 100

bench: build
	go test -run '^$$' -bench . -benchmem ./...
	CHURN_SCRAPES=1000 go test -count 1 -v -run '^TestChurn' ./test/e2e | grep -v '^=== '
	go test -count 1 -v -run '^TestPage$$/^alone$$' ./test/e2e | grep measured
	LOAD=$(LOADTIME) LOAD_PAIRS=5 go test -count 1 -v -run '^TestLoad' ./test/e2e | grep -v '^=== '
	@if [ -x $(COST) ]; then \
	  set -- 'bpf lean=./process_exporter --source=bpf $(LEAN) $(RULES)' 'bpf=./process_exporter --source=bpf $(RULES)' \
	    'lean=./process_exporter --source=procfs $(LEAN) $(RULES)' 'default=./process_exporter --source=procfs $(RULES)'; \
	  if predecessor=$$(command -v prometheus-process-exporter); then \
	    set -- "$$@" "predecessor lean=$$predecessor $(LEAN) $(RULES)" "predecessor=$$predecessor $(RULES)"; \
	  fi; \
	  $(COST) $(COSTFLAGS) "$$@"; \
	fi

# Uses the Go version of a release. The vulnerability database comes as a module,
# so that a module proxy is the only network access.
vulns: export GOTOOLCHAIN = $(shell sed -n 's/^toolchain //p' go.mod)
vulns:
	@database=$$(mktemp -d) && trap 'rm -rf "$$database"' EXIT && \
	module=$$(go mod download -json golang.org/x/vulndb@latest | sed -n 's/.*"Dir": "\(.*\)".*/\1/p') && \
	echo "database: $$module" && \
	go run golang.org/x/vulndb/cmd/indexdb@latest -vulns "$$module/data/osv" -out "$$database" && \
	go run golang.org/x/vuln/cmd/govulncheck@latest -db "file://$$database" ./...

release:
	deploy/packages/release.sh

# Draws the dashboards with data of test processes, or of a Prometheus server with a real workload:
# make preview PREVIEWFLAGS='-preview.prometheus http://localhost:9090 -preview.group nginx'
preview:
	go test ./deploy -run TestPreview -preview "$(CURDIR)/docs" $(PREVIEWFLAGS)

# Downloads the kernels of Debian to .cache/kernels. KERNELS is a regexp of machines and
# architectures, such as 6.1-amd64 or s390x.
KERNELS ?= .
kernels:
	go run ./test/kernels -run '$(KERNELS)'

generate:
	go test ./deploy/grafana -run TestDashboards -update
	go -C deploy/kubernetes/test test -run Plain . -update
	go generate ./platform/bpf
	go test ./collector -run TestReference -update
	go test ./grouping -run TestGeneratedDocs -update
	go test ./internal/config -run TestFlagReference -update
	go test ./internal/cli -run TestTroubleshooting -update
	go test ./platform/sandbox -run TestDocumentedCalls -update
	go test ./test/e2e -run 'TestPermissions|TestReadableSecrets' -update
	go test ./deploy -run TestContainerProfiles -update

# go test -fuzz takes one target at a time. Minimizing an input takes a minute by
# default, which is rarely useful. The limit is a number of inputs: at the end of a time, go test before Go 1.27 can
# fail with "context deadline exceeded" and without an input (golang.org/issue/75804).
fuzz:
	@for package in $$(go list ./...); do \
	  for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz'); do \
	    go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x -parallel 1 $$package || exit 1; \
	  done; \
	done

# Process starts, new names, aborting clients and reloads at the same time.
SOAK ?= 1h
soak:
	SOAK=$(SOAK) go test -v -timeout 25h -run '^TestSoak$$' ./test/e2e

# Tests with loads that are too large for every change. They need a quiet machine.
CHAOS := TestHostileClients|TestPasswordGuessing|TestUnresponsiveProcesses|TestUnresponsiveOnceKnown|TestLockedEpollFdinfo|TestZombieMainThreads
CHAOS := $(CHAOS)|TestStop|TestSecondSignal|TestConfigWarnings|TestShortReads|TestHugeCommandLines|TestManyProcesses|TestLargeCounts|TestThreadFileReadTime
CHAOS := $(CHAOS)|TestHugeMemory|TestSmapsReadsDoNotDelayMmap|TestForkStorm|TestLostExitEventsUnderLoad|TestLoadIsCounted|TestPIDReuse
CHAOS := $(CHAOS)|TestRepeatedExec|TestManyUsers|TestManyThreadNames|TestStartRejectsInvalidConfig|TestReloadRejectsInvalidConfig
CHAOS := $(CHAOS)|TestAddressSpaceLimit|TestCgroupMemoryLimit|TestLogRateLimit|TestConcurrentScrapesShareWalks
chaos:
	PROCESS_EXPORTER_CHAOS=1 go test -count 1 -v -timeout 60m -run '^($(CHAOS))' ./test/e2e
	PROCESS_EXPORTER_CHAOS=1 go test -count 1 -v -run PIDReuse ./platform ./platform/process
