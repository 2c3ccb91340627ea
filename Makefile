# The words people type. `make` alone lists them.
.PHONY: help demo test full lint bench build

help:
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile

demo: ## sample data, a local lake, verified exports
	go run ./cmd/lakeward demo

build: ## the static binary, in bin/
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$$(git describe --tags --always --dirty)" -o bin/lakeward ./cmd/lakeward

test: ## what the README says
	go test ./...

full: ## every case of the long matrices, no samples
	LAKEWARD_TEST_FULL=1 go test -timeout 60m ./...

lint: ## formatting, vet, staticcheck
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet ./...
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

bench: ## benchmarks of the data plane and the client
	go test -run '^$$' -bench . -benchmem ./...
