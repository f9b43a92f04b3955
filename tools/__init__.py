"""What agents may use: typed async functions with a JSON schema and an execution policy."""
