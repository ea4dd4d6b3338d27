"""The models that prompts are sent to: `counting` (tokens), `facts` (windows, prices), `prompt_cache`, `embedded`."""
