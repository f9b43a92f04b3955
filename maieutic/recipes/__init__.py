"""Recipes: traces in, training rows out."""
