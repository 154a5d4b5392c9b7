"""Makes maps, cracks, tables and a report from whole photographs."""
