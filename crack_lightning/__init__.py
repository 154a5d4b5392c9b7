"""Learns to distinguish cracked concrete from sound concrete, and reports how far it can be trusted."""

__version__ = "0.1.0"
