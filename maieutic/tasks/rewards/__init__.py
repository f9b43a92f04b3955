"""Rewards as named parts: what an answer, its form, its length and the way to it are worth, one file a kind."""
