"""Contract suites and doubles that third parties can import."""
