"""Where model-written code runs: isolation tiers, workers, and the pool of them."""
