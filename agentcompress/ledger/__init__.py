"""What was decided about each block of a conversation: write once, read back."""
