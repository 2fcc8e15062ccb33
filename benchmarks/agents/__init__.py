"""A LangChain agent at office requests, with the cache and without: `python -m benchmarks.agents`."""
