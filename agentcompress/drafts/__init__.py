"""The draft model: finding its weights (`load`), running it (`runtime`), reading its attention (`capture`)."""
