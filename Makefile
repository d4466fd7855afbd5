# `make` lists the targets; `make check` is the gate and what .ci/run calls.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X refline/internal/cli.Version=$(VERSION)
LINT := go tool -modfile=tools/go.mod golangci-lint
# A failed test runs once more (docs/adr/0021): not one with a data race or a panic,
# and not more than three. What fails only once is listed as flaky.
TEST := go tool -modfile=tools/go.mod gotestsum --format pkgname --format-hide-empty-pkg --rerun-fails=1 --rerun-fails-max-failures=3 --rerun-fails-abort-on-data-race

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: build
build: ## build bin/refline and bin/refline-server
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

.PHONY: demo
demo: build ## show a server, a flow and its runs in a temporary folder
	./bin/refline demo

.PHONY: image
image: ## build bin/refline-image.tar without a container engine (TO=REGISTRY/NAME:TAG pushes it for amd64 and arm64)
	deploy/image/build $(if $(TO),--to $(TO))

.PHONY: image-check
image-check: ## start that image on a container engine: server, runner and a flow
	scripts/with-docker deploy/image/check

.PHONY: chart
chart: ## lint and render the Helm chart, and read what it makes by the types of the Kubernetes API
	go build -modfile=tools/helm/go.mod -o bin/helm helm.sh/helm/v3/cmd/helm
	REFLINE_HELM=$(CURDIR)/bin/helm go test -count=1 ./deploy/helm

.PHONY: setup
setup: ## install what the tests want (as root on Debian or Ubuntu; elsewhere names what is missing)
	scripts/setup

.PHONY: check
check: ## the gate: brings what it needs; build, linters, vet, tests with -race, generated files unchanged
	scripts/check

.PHONY: vet
vet: ## vet for Linux, macOS and Windows
	go vet ./...
	GOOS=darwin go vet ./...
	GOOS=windows go vet ./...

.PHONY: lint
lint: ## run the linters of .golangci.yml
	$(LINT) run ./...

.PHONY: test
test: ## run all tests with the race detector, beside Docker, moto and PostgreSQL where they can be had
	scripts/with-docker scripts/with-moto scripts/with-emulator ministack scripts/with-postgres $(TEST) --packages=./... -- -race -timeout 22m

.PHONY: e2e-k8s
e2e-k8s: ## run flows in pods of a real cluster (REFLINE_TEST_KUBECONFIG; scripts/e2e-k8s says what it needs)
	scripts/e2e-k8s

.PHONY: e2e-prefect
e2e-prefect: ## run flows of several versions of Prefect (from PyPI; scripts/e2e-prefect takes versions)
	scripts/e2e-prefect

.PHONY: generate
generate: ## write the files that are generated (tests fail while they differ)
	go test ./cmd/refline -run Reference -update
	go test ./internal/server -run OpenAPI -update

.PHONY: fuzz
fuzz: ## run every fuzz target for 20 seconds
	scripts/fuzz 20s

.PHONY: soak
soak: ## kill, stop and starve servers and runners for SOAK (10m) a database, and look whether all is kept
	scripts/soak $(or $(SOAK),10m)

.PHONY: screenshots
screenshots: ## make the pictures of docs/page.md in Chromium
	REFLINE_PICTURES=$(CURDIR)/docs/pictures go test ./internal/web/browsertest -count=1 -run TestPictures

.PHONY: bench
bench: build ## measure beside bash, gitlab-ci-local, cfn-lint, git clone and plain masks; prints ratios
	bench/run
