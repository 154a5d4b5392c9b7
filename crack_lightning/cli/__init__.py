"""The only folder that knows Hydra."""
