"""Contract suites and doubles that third parties can import."""

from importlib.util import find_spec

if find_spec("pytest") is not None:
    import pytest

    # The suites are no test files, and a row that fails is to say by which values.
    pytest.register_assert_rewrite(
        *(f"{__name__}.{suite}_contract" for suite in ("embedder", "host", "sandbox", "store")),
        f"{__name__}.host_faults",
    )
