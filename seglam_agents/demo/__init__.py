"""The demo: a stream of requests of ten kinds, answered by a cache that starts out empty."""
