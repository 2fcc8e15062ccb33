"""What is remembered of misses and runs, and when it is worth compiling."""
