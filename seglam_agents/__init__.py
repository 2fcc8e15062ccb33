"""SEGLAM agents: a reasoning cache. The model is a compiler, not a runtime."""
