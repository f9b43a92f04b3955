"""The append-only record of runs: written exactly, read back whole."""
