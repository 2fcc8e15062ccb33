"""Compilers turn what a model said, or what an agent did, into candidate procedures."""
