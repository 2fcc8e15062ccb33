"""Measurements of the cache on data that it has not seen; `python -m benchmarks` lists them."""
