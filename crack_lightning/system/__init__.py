"""The machine's side: files, cache, processes, names."""
