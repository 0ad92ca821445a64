"""The demo's scripted model: OpenAI's Responses API over HTTP, answered by rules instead of a neural network.

It knows only the content of a request, and states only what a tool result says. It shares no code with the application or
the demo web.
"""
