# Every target is one line in "make help"; the text after ## is what it prints.
SHELL := /bin/bash
.DEFAULT_GOAL := help

GO ?= go
# Pure Go builds and tests need no C library; what needs cgo says so below.
export CGO_ENABLED ?= 0
# Arguments of the program that "make run" or "make bench" starts, such as
# ARGS="--juju real".
ARGS ?=
# Arguments of "make rock".
ROCK ?=
# The services that "make run" starts: embedded or real.
STACK ?= embedded
# The benchmarks of "make bench" that are Go's own.
benchmarks := $(GO) test -vet=off -p 1 -run '^$$' -bench '^Benchmark(Permissions|Login|VerifyToken|MintToken|Record)$$' \
	./workload/openfga ./workload/dev ./workload/login ./workload/juju ./workload/audit
# Which tests "make test" and "make race" run.
PACKAGES ?= ./...

# What the programs say their version is.
commit := $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
version := $(shell git describe --tags --always --dirty 2>/dev/null || echo unreleased)
build := $(GO) build -trimpath -buildvcs=false -ldflags '-s -X main.version=$(version) -X main.commit=$(commit)' -o bin/

# The folders with Go files of this module; .cache has other people's.
go_dirs := $(wildcard workload charm integration rock bundle observability)
staticcheck := .cache/bin/staticcheck
# The packages that have tests of "make integration", one at a time since they
# start controllers and measure.
integration = $(sort $(addprefix ./,$(dir $(shell grep -rl --include=*_test.go '^//go:build integration' $(go_dirs)))))
integration_test = $(GO) test -tags integration -p 1 -count=1 -timeout 60m

.PHONY: help
help: ## list the targets
	@echo "usage: make TARGET"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## start JIMM with all it needs on this machine (STACK=real: with the services of production; ARGS="--juju real --fresh" are passed on)
	@echo "building bin/jimmdev, some minutes the first time"
	@$(build) ./workload/cmd/jimmdev
	@exec bin/jimmdev up --stack $(STACK) $(ARGS)

.PHONY: build
build: ## build all programs into bin/
	$(build) ./workload/cmd/...
	ln -sf jaas bin/juju-jaas

.PHONY: charm
charm: ## pack the charm into bin/juju-jimm-k8s.charm, for ARCH or this machine
	GOARCH=$(ARCH) $(build) ./charm/cmd/dispatch
	$(GO) run ./charm/cmd/packcharm $(if $(ARCH),-arch $(ARCH))

.PHONY: rock
rock: ## build the container image into bin/, without rockcraft (ROCK="-arch amd64,arm64 -push REFERENCE" are passed on)
	$(GO) run ./rock/build $(ROCK)

.PHONY: test
test: ## unit and component tests, on a real PostgreSQL and an OpenFGA in process
	$(GO) test -vet=off -timeout 20m $(PACKAGES)

.PHONY: unit
unit: test ## the same as test

.PHONY: race
race: ## the same tests with the race detector (needs gcc)
	CGO_ENABLED=1 $(GO) test -vet=off -race -timeout 40m $(PACKAGES)

.PHONY: integration
integration: ## tests with real juju clients and controllers (root, Debian; builds these first)
	integration/peers/build.sh >/dev/null
	$(integration_test) -v $(integration)

.PHONY: compatibility
compatibility: ## make the table of what each juju client does through JIMM anew (as integration)
	integration/peers/build.sh >/dev/null
	$(integration_test) -v ./integration/compat -update

.PHONY: bench
bench: ## measure JIMM against a direct connection, with a real controller (root, Debian; ARGS="-target sim" without), long lists, permissions, logins, tokens and the audit log
	$(GO) run ./integration/bench $(ARGS)
	$(GO) run ./integration/bench/lists
	export JIMM_BENCH_OPENFGA=$$(integration/peers/build.sh openfga | sed -n s/OPENFGA=//p) && $(benchmarks)

.PHONY: fmt
fmt: ## format the Go files
	gofmt -s -w $(go_dirs)

.PHONY: lint
lint: $(staticcheck) ## fail on unformatted files and on what go vet and staticcheck find
	@files=$$(gofmt -s -l $(go_dirs)); [ -z "$$files" ] || { echo "not formatted (make fmt does it):"; echo "$$files"; exit 1; }
	$(GO) vet -tags integration ./...
	$(staticcheck) -tags integration ./...

# The linter is a module of its own, so that its dependencies are not ours.
$(staticcheck): .ci/lint/go.mod .ci/lint/go.sum
	@mkdir -p $(@D)
	cd .ci/lint && $(GO) build -buildvcs=false -o $(CURDIR)/$@ honnef.co/go/tools/cmd/staticcheck
	@touch $@

.PHONY: generate
generate: docs ## make all generated files anew
	$(GO) generate ./...

.PHONY: docs
docs: ## make the reference pages of jaas, jimmctl, the charm and the metrics anew
	$(GO) test -vet=off -count=1 ./workload/cli ./workload/cmd/jimmctl -run TestReferencePages -update
	$(GO) test -vet=off -count=1 ./workload/dev -run TestTheInternalListener -update
	$(GO) test -vet=off -count=1 ./charm/pack -run TestReferencePage -update

.PHONY: clean
clean: ## remove bin/ and the linter; not .jimmdev/ nor the built juju programs
	rm -rf bin $(staticcheck)
