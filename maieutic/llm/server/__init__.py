"""Servers that speak the OpenAI protocol, vLLM first: the client, its wire format, its connections."""
