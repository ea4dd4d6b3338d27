"""Ways into an agent: LiteLLM calls and routers, a decorator, and the catch that every door goes through."""
