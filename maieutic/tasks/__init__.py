"""Tasks, where they come from, and how their answers are checked."""
