"""Learns to tell cracked concrete from sound concrete, and says how far it can be trusted."""

__version__ = "0.1.0"
