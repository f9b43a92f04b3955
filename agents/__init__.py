"""Who speaks: one role at a model a file."""
