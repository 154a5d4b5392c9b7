"""What the machine gives: files, cache, processes, names."""
