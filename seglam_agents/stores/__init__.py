"""See `seglam_agents.stores.base` for the protocol; backends are imported from their own modules."""
