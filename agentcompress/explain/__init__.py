"""What was kept and why, as a page."""
