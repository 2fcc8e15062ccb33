"""The path without a model: who may answer, and how its body is run."""
