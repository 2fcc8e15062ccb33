"""The MCP server: procedures as tools for any client of the protocol."""
