"""Concrete surfaces drawn procedurally, so that the project runs without anybody's photographs."""
