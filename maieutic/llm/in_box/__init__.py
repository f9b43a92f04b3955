"""The in-box model: a small language model in the package, its chat format, its engine and what it is asked for."""
