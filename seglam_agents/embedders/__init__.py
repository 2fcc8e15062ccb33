"""See `seglam_agents.embedders.base` for the protocol; backends are imported from their own modules."""
