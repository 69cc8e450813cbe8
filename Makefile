# `make` alone lists what there is.
.DEFAULT_GOAL := help
SHELL := /bin/sh
BIN := .venv/bin
LOCAL_OPENCODE := deploy/opencode/node_modules/.bin/opencode
export PYTHONSAFEPATH := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[.a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: .venv
.venv: .venv/.installed ## install what the other targets need, nothing else

.venv/.installed: requirements-dev.lock pyproject.toml
	@sh deploy/prepare.sh
	@test -x $(BIN)/python || python3 -m venv .venv
	@$(BIN)/pip install --quiet --require-hashes -r requirements-dev.lock
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: opencode
opencode: ## install opencode under the project, unless one is on PATH
	@sh deploy/prepare.sh
	@command -v opencode >/dev/null 2>&1 || test -x $(LOCAL_OPENCODE) || npm install --prefix deploy/opencode --no-save --no-audit --no-fund --loglevel=error

.PHONY: run
run: .venv opencode ## start Kugetsu on this machine
	@PATH="$$PATH:$(CURDIR)/deploy/opencode/node_modules/.bin" exec $(BIN)/kugetsu serve

.PHONY: demo
demo: .venv opencode ## do the main job here, no account needed (ONCE=1 ends after the job)
	@exec $(BIN)/python -P -m tests.demo $(if $(ONCE),--once)

.PHONY: promtool
promtool: .venv
	@sh tests/promtool.sh $(CURDIR)/$(BIN)

.PHONY: browser
browser: .venv
	@sh tests/browser/prepare.sh

.PHONY: deploy-tools
deploy-tools: .venv
	@sh tests/deploy/prepare.sh $(CURDIR)/$(BIN)

.PHONY: screenshots
screenshots: .venv opencode browser ## the pictures of the README, made anew from the demo
	@exec $(BIN)/python -P -m tests.screenshots

.PHONY: first-start
first-start: .venv browser ## from a clone to a pull request by the first-start page, in a browser; the steps and their seconds
	@exec $(BIN)/python -P -m tests.browser.first_start

.PHONY: test
test: .venv opencode promtool browser deploy-tools ## every check: format, lint, types, import contracts, tests
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n 4 --dist loadgroup

.PHONY: matrix
matrix: .venv ## the crash matrix in full: every part killed at every point (`make test` runs a cheaper form)
	CRASH_MATRIX=full $(BIN)/pytest -n 2 --dist load tests/crash/test_matrix.py

SECONDS ?= 300
.PHONY: torture
torture: .venv ## kill everything at random for SECONDS=300; SEED=… asks and kills the same again
	@exec $(BIN)/python -P -m tests.crash.torture --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

.PHONY: outage
outage: .venv ## Gitea is gone for SECONDS=300 in the middle of ten jobs: what became of them
	@exec $(BIN)/python -P -m tests.crash.outage --seconds $(SECONDS)

.PHONY: missed
missed: .venv ## twenty asks without a webhook: how soon each is found, and that resends add nothing
	@exec $(BIN)/python -P -m tests.crash.missed

.PHONY: bench
bench: .venv opencode ## measurements beside a peer: a table, and bench.json
	@PATH="$$PATH:$(CURDIR)/deploy/opencode/node_modules/.bin" exec $(BIN)/python -P -m tests.bench

.PHONY: format
format: .venv ## format the code
	$(BIN)/ruff format --quiet .
	$(BIN)/ruff check --fix --quiet .

.PHONY: lock
lock: ## lock the dependencies anew (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --extra dev pyproject.toml -o requirements-dev.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --group build -o requirements-build.lock
