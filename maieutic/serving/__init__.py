"""Your own vLLM servers: started, watched, stopped and given adapters."""
