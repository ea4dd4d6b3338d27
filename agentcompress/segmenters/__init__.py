"""Text -> units that tile it.

`kinds` says which segmenter cuts a text, by `detect`, `shapes`, `languages`, `envelopes` and `json_within`; `listings`
which is better left whole. Those that cut: `prose`, `lines`, `chunks`, `logs` (with `signs`, `records` and `traces`),
`diff`, `matches`, `tables` (with `columns`), `sections`, `outline`, `structured` (JSON, with `json_tree`,
`json_records`, `json_style`, `json_strings` and `string_texts`), `source` (code, with `grammars`, `nodes` and `tree`),
and `mixed`, which calls the others. `odd_ones` finds records unlike their neighbours, `notices` what is kept in any
kind of text; `check` runs one and checks what it says.
"""
