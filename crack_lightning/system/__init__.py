"""Helpers of no particular subject: files, cache, processes, names, and the checks of options."""
