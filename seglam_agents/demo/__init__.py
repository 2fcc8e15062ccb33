"""The demo: a stream of requests of several kinds, answered by a cache that starts out empty."""
