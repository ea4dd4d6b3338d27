"""From scores to kept units: `budget` (how much), `order` (which first), `select` (what fits)."""
