"""Concrete surfaces and cracks that are drawn procedurally, so that the project runs without photographs."""
