"""The functions of Python: what `import crack_lightning` offers. Everything below is not public and may change."""
