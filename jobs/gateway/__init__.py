"""The model gateway: agents call the LLM's provider through it, with a token of their job in place of the key.

A process of its own on loopback, like a keeper: it outlives the worker that started it, for the agents do, and an
answer that is being streamed when a worker ends is neither lost nor paid twice.
"""
