"""Making a draft's profile: items that are made here (`items`), what the draft sees in them, and the fit (`fit`)."""
