"""What every room speaks: errors, requests, tools, usage, values, traces, procedures, outcomes."""
