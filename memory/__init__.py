"""What is remembered between calls, turns or runs."""
