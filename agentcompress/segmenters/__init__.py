"""Text -> units that tile it. `kinds` names the kind; each module is one way to cut."""
