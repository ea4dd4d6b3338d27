"""From scores to kept units: how much, in what order, and what fits."""
