"""The demo's scripted model: OpenAI's Responses API over HTTP, answered by reading rules instead of a neural network.

It knows only what a request holds, opens pages by asking for tools, and states nothing that no tool result says. It
shares no
code with the application it serves nor with the demo web it reads, so a good answer is a real reading.
"""
