"""What every other package may use: deadlines, threads, progress, digests, checks of values, a clock."""
