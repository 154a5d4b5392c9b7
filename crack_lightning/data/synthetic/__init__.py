"""Concrete surfaces and cracks drawn by procedures, so that the project runs without photographs."""
