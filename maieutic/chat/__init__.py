"""`maieutic chat`: a conversation at the terminal."""
