# Every target first installs what it needs, unless it is installed already.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test check format clean constraints

# 25 Buildium companies in Texas with one to three contacts each, from the demo web.
demo: $(STAMP)
	$(BIN)/python starter.py start --local --criteria '{"pms": "Buildium", "state": "TX"}' --quantity 25 \
		--contacts-min 1 --contacts-max 3 --output-dir exports --on-decision wait

test: $(STAMP)
	sh tests/install_browser.sh
	$(BIN)/python -m pytest -n 3 --no-loadscope-reorder

check: $(STAMP)
	$(BIN)/ruff format --check -q .
	$(BIN)/ruff check -q .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

format: $(STAMP)
	$(BIN)/ruff format -q .
	$(BIN)/ruff check -q --fix .

clean:
	rm -rf $(VENV) .local .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info

# Pin the newest versions that pyproject.toml allows. Run it with Python 3.11 (PYTHON=python3.11).
constraints:
	$(PYTHON) -m venv $(VENV)-pin
	$(VENV)-pin/bin/pip install -q '.[local,dev]'
	$(VENV)-pin/bin/pip freeze --exclude pm-pipeline > constraints.txt
	rm -rf $(VENV)-pin build *.egg-info

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the packages (once, a minute or two) …"
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[local,dev]'
	touch $@
