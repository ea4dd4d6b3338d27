"""Texts without a model: `lines`, `cut_points`, `delimiters` and `recall_style`, `rendering`, `clip`."""
