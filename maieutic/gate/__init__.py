"""The gate: what leaves as training data is looked through first, and what stays behind is named with its reason."""
