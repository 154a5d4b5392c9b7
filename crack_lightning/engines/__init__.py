"""Engines that compute the features and maps of a network, and the formats of exports."""
