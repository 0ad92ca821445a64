"""MCP servers as tools: what is configured, one pooled session per server, and answers as typed results."""
