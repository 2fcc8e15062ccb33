"""WorkBench as an environment: its databases with their tools, its tasks, and a model played by the ground truth."""
