"""Formats: what a training row looks like, one file each, named as it is asked for."""
