"""What the terminal commands share: options, what happens in a run as a person reads it, Ctrl-C."""
