# Each target is one line that calls Python: the machine's own python3 builds .venv when needed, then runs the rest in it.
.DEFAULT_GOAL := help
.PHONY: help setup demo up test check simulate psql fmt lock clean

IN_VENV := @python3 -m sandbox.setup
STORY = $(if $(SEED),--seed $(SEED)) $(if $(RECEIPTS),--receipts $(RECEIPTS))
LOCK := uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 pyproject.toml

help: ## show this
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 18

setup: ## build .venv from the lock file (every other target does it when needed)
	$(IN_VENV) echo "setup: .venv is current"

demo: ## all of it on this machine, embedded (or on DATABASE_URL and REDIS_URL): a rush of buyers; ends by itself; KILL=1 kills workers, CHAOS=1 everything
	$(IN_VENV) python -m sandbox demo $(if $(filter-out 0,$(KILL)),--kill) $(if $(filter-out 0,$(CHAOS)),--chaos) $(STORY)

up: ## the same, staying up, without the rush; prints addresses and lines to try
	$(IN_VENV) python -m sandbox demo --stay

test: ## every test, on throw-away servers
	$(IN_VENV) python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

check: ## format, lint, types, import rules, unit tests
	$(IN_VENV) sh -exc 'ruff format --check; ruff check; mypy; lint-imports; check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml; python -m pytest tests/unit'

simulate: ## the rules under a seeded scheduler: SEED=… RECEIPTS=…
	$(IN_VENV) python -m sandbox simulate $(STORY)

psql: ## open psql on the PostgreSQL of `make up`
	$(IN_VENV) python -m sandbox servers --psql

fmt: ## put the code into its format
	$(IN_VENV) sh -exc 'ruff format; ruff check --fix'

lock: ## write the lock files anew from pyproject.toml (needs uv)
	$(IN_VENV) sh -exc '$(LOCK) --group server -o requirements.txt; $(LOCK) --group server --group sandbox --group dev -c requirements.txt -o requirements-dev.txt'

clean: ## remove the data of the private servers and all caches
	$(IN_VENV) sh -ec 'python -m sandbox servers --clean; rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache'
