"""Engines, which compute the features and maps of a network, and the formats in which networks are exported."""
