# Every build uses the release profile, so that the binary, the tests and the benches share
# what they compile. Build output lies in the user's cache folder unless told otherwise.

cache := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/faq
CARGO_TARGET_DIR ?= $(cache)/target
FAQ_MODELS_DIR ?= $(cache)/models
export CARGO_TARGET_DIR FAQ_MODELS_DIR

CARGO ?= cargo
DENY_VERSION := 0.20.2
deny := $(cache)/tools/bin/cargo-deny
faq := $(CARGO_TARGET_DIR)/release/faq

# What `make demo` fetches besides the embedding model, and hands on to `faq demo`.
DEMO_MODELS ?=
DEMO_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo build test test-grammar sanitize check fmt-check clippy doc deny scripts-check bench fuzz models samples clean

help: ## this list
	@echo 'make TARGET, where TARGET is one of:'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo 'Models: $(FAQ_MODELS_DIR) (FAQ_MODELS_DIR); builds: $(CARGO_TARGET_DIR) (CARGO_TARGET_DIR)'

demo: ## fetch models while building, then ask the sample documents four questions
	@scripts/fetch-models all-minilm-l6-v2 $(DEMO_MODELS) & fetch=$$!; \
	$(CARGO) build --release --locked -p faq-server --bin faq; built=$$?; \
	wait $$fetch && test $$built -eq 0
	$(faq) demo $(DEMO_ARGS)

build: ## the faq command, optimised
	$(CARGO) build --release --locked -p faq-server --bin faq
	@echo 'built $(faq)'

test: ## every test, with real models
	@scripts/fetch-models & fetch=$$!; \
	$(CARGO) test --release --locked --workspace --no-run; built=$$?; \
	wait $$fetch && test $$built -eq 0
	$(CARGO) test --release --locked --workspace

# Apart from `test`, since the feature makes serde_json, and so half of the tree, another.
test-grammar: ## what models write under a grammar, with the feature on
	scripts/fetch-models
	$(CARGO) test --release --locked -p faq-core --features grammar --test it -- grammar

sanitize: ## the kernels under the address sanitizer
	scripts/fetch-models
	scripts/sanitize

check: ## what CI runs: format, scripts, lints, tests, docs, dependencies
	@.ci/stages fmt-check scripts-check clippy test doc deny

fmt-check: ## formatting
	$(CARGO) fmt --all -- --check

clippy: ## lints, warnings are errors
	$(CARGO) clippy --release --locked --workspace --all-targets -- -D warnings

doc: ## API documentation, warnings are errors
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --release --locked --workspace --no-deps

deny: $(deny) ## licences, bans and sources of dependencies
	$(deny) --locked check bans licenses sources

# Built next to the rest only for as long as it takes.
$(deny):
	CARGO_TARGET_DIR='$(cache)/tools/target' $(CARGO) install --quiet --locked --debug \
		--version $(DENY_VERSION) --root '$(cache)/tools' cargo-deny
	rm -rf '$(cache)/tools/target'

scripts-check: ## syntax of every script
	@for script in scripts/* .ci/*; do \
		[ -f "$$script" ] || continue; \
		case "$$(head -n 1 "$$script")" in \
		*bash*) bash -n "$$script" ;; \
		*python3*) python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' "$$script" ;; \
		*) echo "$$script: neither bash nor python3" >&2; false ;; \
		esac || exit 1; \
	done

bench: ## the retrieval harness: make bench BEIR=DIR [BENCH_ARGS='--mode hybrid']
	@test -n '$(BEIR)' || { echo 'make bench BEIR=DIR, a folder in BEIR layout' >&2; exit 2; }
	scripts/fetch-models all-minilm-l6-v2
	$(CARGO) run --release --locked -p faq-bench -- run --beir '$(BEIR)' $(BENCH_ARGS)

fuzz: ## fuzz the parsers: make fuzz SECONDS=600 [TARGETS='pdf docx']
	scripts/fuzz $(or $(SECONDS),600) $(TARGETS)

models: ## fetch the two default models
	scripts/fetch-models

samples: ## draw the sample PDF and DOCX anew
	scripts/make-samples

clean: ## remove build output (models stay)
	$(CARGO) clean
