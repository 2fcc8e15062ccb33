"""The OpenAI-compatible proxy: a host whose history is in the messages."""
