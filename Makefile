# Two commands: `make demo` and `make test`. Everything else serves them; `make help` lists it.
#
#   PYTHON       the interpreter the environment is made with (3.11 or newer)
#   VENV         where that environment is
#   TORCH_INDEX  where torch comes from, for a CPU-only or another CUDA build, e.g.
#                make test TORCH_INDEX=https://download.pytorch.org/whl/cpu

PYTHON ?= python3
VENV ?= .venv
TORCH_INDEX ?=
BIN := $(VENV)/bin
LITELLM_VERSIONS := 1.100.0 1.109.1 # the lowest that pyproject.toml allows, and the newest known
LANGCHAIN_LOWEST := langchain==1.0.0 langchain-core==1.0.0 langgraph==1.0.0 langgraph-prebuilt==1.0.0 \
	langgraph-checkpoint==2.1.0 langgraph-sdk==0.2.2
LANGCHAIN_NEWEST := langchain==1.5.0 langchain-core==1.8.2
LANGCHAIN_TESTS := tests/unit/test_langchain.py tests/unit/test_langchain_messages.py tests/unit/test_decorator.py
COVERAGE := --cov --cov-report=term # `make unit COVERAGE=` is a third faster
VERSIONS := 3.12 3.13 # beside the one that make test runs with
INSTALLED := $(VENV)/.installed$(if $(TORCH_INDEX),-$(notdir $(TORCH_INDEX)))

.PHONY: help demo test unit integration contract check format docs wheel mutate versions draft browser clean

help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(INSTALLED) draft ## compress a real agent context on this machine, and have a model answer from it
	$(BIN)/agentcompress demo

test: check docs wheel draft browser unit integration contract ## everything CI runs

check: $(INSTALLED) ## style, types, and whether docs/cli.md is what the commands say
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyrefly check
	$(BIN)/lint-imports --no-cache
	$(BIN)/vulture
	$(BIN)/python -m cogapp --check --diff --check-fail-msg="run make format" docs/cli.md

unit: $(INSTALLED) ## unit tests and their coverage: no weights, no network, a few minutes
	$(BIN)/python -m pytest -m "not integration" $(COVERAGE)

integration: $(INSTALLED) draft ## tests with the real draft
	$(BIN)/python -m pytest -m integration

contract: $(INSTALLED) ## what we rely on in LiteLLM and LangChain, against their lowest and newest versions
	for version in $(LITELLM_VERSIONS); do \
		test -d $(VENV)/litellm-$$version || \
			$(BIN)/python -m pip install -q --no-deps --target $(VENV)/litellm-$$version litellm==$$version || exit 1; \
		PYTHONPATH=$(VENV)/litellm-$$version $(BIN)/python -m pytest \
			tests/unit/test_litellm_contract.py tests/unit/test_proxy_hooks.py || exit 1; \
	done
	test -d $(VENV)/langchain-newest || \
		$(BIN)/python -m pip install -q --no-deps --target $(VENV)/langchain-newest $(LANGCHAIN_NEWEST)
	PYTHONPATH=$(VENV)/langchain-newest $(BIN)/python -m pytest $(LANGCHAIN_TESTS)
	test -d $(VENV)/langchain-lowest || \
		$(BIN)/python -m pip install -q --no-deps --target $(VENV)/langchain-lowest $(LANGCHAIN_LOWEST)
	PYTHONPATH=$(VENV)/langchain-lowest $(BIN)/python -m pytest -W default $(LANGCHAIN_TESTS) # it warns of itself

# Not with -q, which would keep --strict from seeing its own warnings.
docs: $(INSTALLED) ## the docs as a site in site/; links that lead nowhere are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

wheel: $(INSTALLED) ## the wheel in dist/, installed elsewhere and used
	rm -rf dist
	$(BIN)/python -m pip wheel -q --no-deps --wheel-dir dist .
	$(BIN)/python tests/wheel_smoke.py dist/*.whl

# Not in make test: it takes half an hour on two cores, and goes on where it was stopped. What survives is listed;
# `mutmut show NAME` says what it was. MUTANTS="agentcompress.targets.prompt_cache.*" takes some only; other settings want mutants/ deleted.
mutate: $(INSTALLED) ## mutation tests of the selection, the keys and the money
	CI=true $(BIN)/python -m mutmut run $(MUTANTS)
	$(BIN)/python -m mutmut results

# An interpreter is looked for on the path, among pyenv's, and among uv's (`uv python install 3.12 3.13`).
versions: ## unit tests with every other Python, each in an environment of its own
	for version in $(VERSIONS); do \
		python=$$(python$$version -c "import sys; print(sys.executable)" 2>/dev/null || \
			PYENV_VERSION=$$(pyenv latest $$version 2>/dev/null) python$$version -c "import sys; print(sys.executable)" \
				2>/dev/null || uv python find $$version 2>/dev/null) || \
			{ echo "no Python $$version here"; exit 1; }; \
		$(MAKE) unit COVERAGE= VENV=.venv-$$version PYTHON=$$python || exit 1; \
	done

draft: $(INSTALLED) ## fetch the draft's weights
	$(BIN)/agentcompress draft pull smollm2-135m

# Debian's Chromium, for the page of `explain`; what it is tested with is skipped where there is none.
browser: ## install Chromium, where there is apt
	@command -v chromium >/dev/null || (timeout 60 apt-get update && timeout 300 apt-get install -y chromium) >/dev/null 2>&1 || \
		echo "no Chromium here, and it can't be installed: tests/integration/test_real_explain.py will be skipped"

format: $(INSTALLED) ## let ruff mend what it can, and write docs/cli.md anew
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python -m cogapp -r docs/cli.md

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(if $(TORCH_INDEX),$(BIN)/python -m pip install --index-url $(TORCH_INDEX) --no-deps -c constraints.txt torch)
	$(BIN)/python -m pip install -c constraints.txt -e ".[dev]"
	touch $@

clean: ## delete every environment and everything that was built
	rm -rf .venv .venv-* site dist mutants
