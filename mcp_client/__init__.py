"""Tools from MCP servers: configuration, one session per server, and typed answers."""
