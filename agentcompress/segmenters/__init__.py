"""Text -> units that tile it. `detect` names the kind; each module is one way to cut."""
