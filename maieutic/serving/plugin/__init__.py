"""What vLLM itself loads: logits processors, imported by its own Python from this folder on its path."""
