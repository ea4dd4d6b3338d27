"""Text -> units that tile it.

`kinds` says which segmenter cuts a text, by `detect`, `languages` and `json_within`; `listings` which is better left
whole. Those that cut: `prose`, `lines`, `chunks`, `logs`, `diff`, `matches`, `tables`, `outline`, `structured` (JSON,
with `json_strings`), `source` (code, with `grammars`, `nodes` and `tree`), and `mixed`, which calls the others.
`check` runs one and checks what it says.
"""
