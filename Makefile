# Two commands: `make demo` and `make test`. Everything else serves them.
#
#   PYTHON       the interpreter the environment is made with (3.11 or newer)
#   TORCH_INDEX  where torch comes from, for a CPU-only or another CUDA build, e.g.
#                make test TORCH_INDEX=https://download.pytorch.org/whl/cpu

PYTHON ?= python3
TORCH_INDEX ?=
BIN := .venv/bin
LITELLM_VERSIONS := 1.100.0 1.109.1 # the lowest that pyproject.toml allows, and the newest known
LANGCHAIN_LOWEST := langchain==1.0.0 langchain-core==1.0.0 langgraph==1.0.0 langgraph-prebuilt==1.0.0 \
	langgraph-checkpoint==2.1.0 langgraph-sdk==0.2.2
LANGCHAIN_NEWEST := langchain==1.5.0 langchain-core==1.8.2
LANGCHAIN_TESTS := tests/unit/test_langchain.py tests/unit/test_langchain_messages.py tests/unit/test_decorator.py
INSTALLED := .venv/.installed$(if $(TORCH_INDEX),-$(notdir $(TORCH_INDEX)))

.PHONY: demo test unit integration contract check format docs wheel draft browser clean

demo: $(INSTALLED) draft
	$(BIN)/agentcompress demo

test: check docs wheel draft browser unit integration contract

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyrefly check
	$(BIN)/lint-imports --no-cache
	$(BIN)/vulture
	$(BIN)/python -m cogapp --check --diff --check-fail-msg="run make format" docs/cli.md

unit: $(INSTALLED)
	$(BIN)/python -m pytest -m "not integration"

integration: $(INSTALLED) draft
	$(BIN)/python -m pytest -m integration

contract: $(INSTALLED)
	for version in $(LITELLM_VERSIONS); do \
		test -d .venv/litellm-$$version || \
			$(BIN)/python -m pip install -q --no-deps --target .venv/litellm-$$version litellm==$$version || exit 1; \
		PYTHONPATH=.venv/litellm-$$version $(BIN)/python -m pytest \
			tests/unit/test_litellm_contract.py tests/unit/test_proxy_hooks.py || exit 1; \
	done
	test -d .venv/langchain-newest || \
		$(BIN)/python -m pip install -q --no-deps --target .venv/langchain-newest $(LANGCHAIN_NEWEST)
	PYTHONPATH=.venv/langchain-newest $(BIN)/python -m pytest $(LANGCHAIN_TESTS)
	test -d .venv/langchain-lowest || \
		$(BIN)/python -m pip install -q --no-deps --target .venv/langchain-lowest $(LANGCHAIN_LOWEST)
	PYTHONPATH=.venv/langchain-lowest $(BIN)/python -m pytest -W default $(LANGCHAIN_TESTS) # it warns of itself

docs: $(INSTALLED) # without -q, which would keep --strict from seeing its own warnings
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

wheel: $(INSTALLED)
	rm -rf dist
	$(BIN)/python -m pip wheel -q --no-deps --wheel-dir dist .
	$(BIN)/python tests/wheel_smoke.py dist/*.whl

draft: $(INSTALLED)
	$(BIN)/agentcompress draft pull smollm2-135m

browser: # Debian's Chromium, for the page of `explain`; what it is tested with is skipped where there is none
	@command -v chromium >/dev/null || (timeout 60 apt-get update && timeout 300 apt-get install -y chromium) >/dev/null 2>&1 || \
		echo "no Chromium here, and it can't be installed: tests/integration/test_real_explain.py will be skipped"

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python -m cogapp -r docs/cli.md

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(if $(TORCH_INDEX),$(BIN)/python -m pip install --index-url $(TORCH_INDEX) --no-deps -c constraints.txt torch)
	$(BIN)/python -m pip install -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf .venv
