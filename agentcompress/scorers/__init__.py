"""Units -> scores, higher = keep.

`reader` is the default: `next_step` for results of tools, and for all else `calibrated`: `features` of what the draft
makes of units, the maths of which is in `attention`, read line by line (`best_line`), with words (`lexical`),
`specific` strings and what the query names (`called_by_name`).
`published` ranks as the papers do; `seeded` and `positions` need no draft. `units` is what they share, `cached` keeps
scores.
"""
