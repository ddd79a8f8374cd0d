# make run     serves this machine's processes on :9256, with nothing but Go
# make build   builds ./process_exporter
# make test    what a change has to pass
# make lint    static analysis and the word list
# make bench   benchmarks, and what the whole program costs where the script for that is at hand
# make fuzz    fuzzes every target for FUZZTIME each
# make soak    an hour with everything at once; SOAK=10m for less
# make chaos   hostile clients and processes at full load, against the promised times
# make vulns   known vulnerabilities in what the code calls
# make release   tarballs, packages, bills of materials and checksums, in dist/
# make generate  rewrites generated files
# make preview   takes the pictures of the dashboards again

VERSION  ?= $(shell sed -n 's/^## \[\{0,1\}\([0-9][^] ]*\).*/\1/p' CHANGELOG.md | head -n 1)
REVISION ?= $(shell git rev-parse --verify -q HEAD || echo unknown)
BRANCH   ?= $(shell git symbolic-ref --short -q HEAD || echo unknown)
FUZZTIME ?= 10s
LOADTIME ?= 5s
COST     ?= ../shared/bench/cost.py

INFO    := github.com/prometheus/common/version
LDFLAGS := -s -w -X $(INFO).Version=$(VERSION) -X $(INFO).Revision=$(REVISION) -X $(INFO).Branch=$(BRANCH)

.PHONY: soak vulns release preview run build test lint bench generate fuzz chaos

run:
	go run -ldflags '$(LDFLAGS)' .

build:
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o process_exporter .

test:
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "not formatted, run gofmt -w on: $$unformatted"; exit 1; }
	go mod tidy -diff
	go vet ./...
	GOOS=windows go vet ./...
	GOOS=darwin go vet ./...
	GOOS=freebsd go vet ./...
	testdata/prerequisites.sh
	go test -race -timeout 18m ./...
	go -C deploy/kubernetes/test vet ./...
	go -C deploy/kubernetes/test test ./...

# The analyzers and the word list of test/lint, a separate module, so that the
# product does not depend on them.
TOOLS := $(CURDIR)/.cache/bin
lint:
	@mkdir -p $(TOOLS)
	go -C test/lint build -o $(TOOLS)/ . ./words honnef.co/go/tools/cmd/staticcheck github.com/mgechev/revive
	go -C test/lint vet ./...
	go -C test/lint test ./...
	go vet -vettool=$(TOOLS)/lint ./...
	$(TOOLS)/staticcheck ./...
	$(TOOLS)/revive -config test/lint/revive.toml -set_exit_status ./...
	$(TOOLS)/words

# The numbers of the whole program beside the bare system calls of a walk and
# the program that this one succeeds, with the same rules: without the metrics
# that cost extra, and as both come.
RULES     := -config.path deploy/systemd/all.yaml -web.listen-address 127.0.0.1:{port}
LEAN      := -threads=false -gather-smaps=false
COSTFLAGS ?= --procs 5000 --busy 100

bench: build
	go test -run '^$$' -bench . -benchmem ./...
	CHURN_SCRAPES=1000 go test -count 1 -v -run '^TestChurn' ./test/e2e | grep -v '^=== '
	LOAD=$(LOADTIME) LOAD_PAIRS=5 go test -count 1 -v -run '^TestLoad' ./test/e2e | grep -v '^=== '
	@if [ -x $(COST) ]; then \
	  set -- 'bpf lean=./process_exporter --source=bpf $(LEAN) $(RULES)' 'bpf=./process_exporter --source=bpf $(RULES)' \
	    'lean=./process_exporter --source=procfs $(LEAN) $(RULES)' 'default=./process_exporter --source=procfs $(RULES)'; \
	  if peer=$$(command -v prometheus-process-exporter); then \
	    set -- "$$@" "peer lean=$$peer $(LEAN) $(RULES)" "peer=$$peer $(RULES)"; \
	  fi; \
	  $(COST) $(COSTFLAGS) "$$@"; \
	fi

# Built with what a release is built with. The Go team's database comes as a
# module, since a module proxy is all that many networks let through.
vulns: export GOTOOLCHAIN = $(shell sed -n 's/^toolchain //p' go.mod)
vulns:
	@database=$$(mktemp -d) && trap 'rm -rf "$$database"' EXIT && \
	module=$$(go mod download -json golang.org/x/vulndb@latest | sed -n 's/.*"Dir": "\(.*\)".*/\1/p') && \
	echo "database: $$module" && \
	go run golang.org/x/vulndb/cmd/indexdb@latest -vulns "$$module/data/osv" -out "$$database" && \
	go run golang.org/x/vuln/cmd/govulncheck@latest -db "file://$$database" ./...

# Tarballs, packages, bills of materials and checksums, in dist/.
release:
	deploy/packages/release.sh

# Pictures of the dashboards with the data of a few minutes, for people to look at.
preview:
	go test ./deploy -run TestPreview -preview "$(CURDIR)/docs"

generate:
	go test ./deploy/grafana -run TestDashboards -update
	go -C deploy/kubernetes/test test -run Plain . -update
	go generate ./platform/bpf
	go test ./collector -run TestReference -update
	go test ./grouping -run TestGeneratedDocs -update
	go test ./internal/config -run TestFlagReference -update
	go test ./internal/cli -run TestTroubleshooting -update
	go test ./test/e2e -run TestPermissions -update-permissions
	go test ./deploy -run TestContainerProfiles -update-profiles

# One target at a time, since go test -fuzz takes no more. What makes an input
# interesting is seldom worth the minute that Go takes by default to shorten it.
fuzz:
	@for package in $$(go list ./...); do \
	  for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz'); do \
	    go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x -parallel 1 $$package || exit 1; \
	  done; \
	done

# An hour with everything at once: births, names, clients that hang up, reloads.
SOAK ?= 1h
soak:
	SOAK=$(SOAK) go test -v -timeout 25h -run '^TestSoak$$' ./test/e2e

# What is too much, or too long, for every change. It needs a machine with
# nothing else to do.
CHAOS := TestHostileClients|TestPasswordGuessing|TestUnresponsive(Processes|OnceKnown)|TestLockedEpollFdinfo|TestZombieLeaders
CHAOS := $(CHAOS)|TestStop|TestSecondSIGTERM|TestShortReads|TestHugeCommandLines|TestManyProcesses|TestLargeCounts|TestThreadFileReadTime
CHAOS := $(CHAOS)|TestHugeMemory|TestSmapsReadsDoNotDelayMmap|TestForkStorm|TestLostExitEventsUnderLoad|TestLoadIsCounted|TestPIDReuse
CHAOS := $(CHAOS)|TestRepeatedExec|TestManyUsers|TestManyThreadNames|TestStartRejectsInvalidConfig|TestReloadRejectsInvalidConfig
CHAOS := $(CHAOS)|TestAddressSpaceLimit|TestCgroupMemoryLimit|TestLogRateLimit|TestConcurrentScrapesShareWalks
chaos:
	PROCESS_EXPORTER_CHAOS=1 go test -count 1 -v -timeout 60m -run '^($(CHAOS))' ./test/e2e
	PROCESS_EXPORTER_CHAOS=1 go test -count 1 -v -run Recycled ./platform
