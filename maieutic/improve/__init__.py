"""The closed loop: collect, gate, train, measure, and keep a new version only where it is better."""
