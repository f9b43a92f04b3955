"""Who speaks when: one workflow a file, each a LangGraph `StateGraph`."""
