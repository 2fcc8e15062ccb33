"""Traces, metrics and logs of the surfaces, and of caches beside them."""
