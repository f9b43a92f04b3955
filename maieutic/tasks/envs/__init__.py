"""Environments of our own: generators of tasks with difficulty knobs, one file each, named as it is asked for."""
