"""Recorded agent runs in bulk: reads them from files of several formats, and hands them to a cache to learn from."""
