"""Presets as YAML, shipped in the wheel and read through `importlib.resources`."""
