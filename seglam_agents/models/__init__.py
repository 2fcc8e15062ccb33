"""See `seglam_agents.models.base` for the protocol; backends are imported from their own modules."""
