"""Admission: everything a candidate must pass before it may serve."""
