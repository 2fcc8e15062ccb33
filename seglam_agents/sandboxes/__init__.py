"""See `seglam_agents.sandboxes.base` for the protocol; backends are imported from their own modules."""
