"""Models: everything that samples, behind one protocol, and the gateway that records each call."""
