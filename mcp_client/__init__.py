"""Tools from MCP servers: configuration, one session per server, typed answers."""
