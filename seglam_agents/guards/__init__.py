"""Guards decide whether a procedure applies to a request, and extract its arguments.

A guard is a list of sentence templates (`template`) with typed slots (`slots`), compiled to RE2 (`pattern`) over the
normalised request (`normal`), plus an optional predicate (`predicate`); or code in a sandbox (`code`).
"""
