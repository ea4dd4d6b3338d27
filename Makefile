# Two commands: `make demo` and `make test`. Everything else serves them.
#
#   PYTHON       the interpreter the environment is made with (3.11 or newer)
#   TORCH_INDEX  where torch comes from, for a CPU-only or another CUDA build, e.g.
#                make test TORCH_INDEX=https://download.pytorch.org/whl/cpu

PYTHON ?= python3
TORCH_INDEX ?=
BIN := .venv/bin
INSTALLED := .venv/.installed$(if $(TORCH_INDEX),-$(notdir $(TORCH_INDEX)))

.PHONY: demo test unit integration check format draft clean

demo: $(INSTALLED) draft
	$(BIN)/agentcompress demo

test: check draft unit integration

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyrefly check

unit: $(INSTALLED)
	$(BIN)/python -m pytest -m "not integration"

integration: $(INSTALLED) draft
	$(BIN)/python -m pytest -m integration

draft: $(INSTALLED)
	$(BIN)/agentcompress draft pull smollm2-135m

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(if $(TORCH_INDEX),$(BIN)/python -m pip install --index-url $(TORCH_INDEX) --no-deps -c constraints.txt torch)
	$(BIN)/python -m pip install -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf .venv
