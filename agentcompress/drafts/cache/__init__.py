"""What the draft has encoded, kept in memory and in files."""
