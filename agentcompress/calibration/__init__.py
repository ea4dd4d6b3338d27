"""Makes a draft's profile: items with known evidence (`families`), what the draft sees in them, and the fit (`fit`)."""
