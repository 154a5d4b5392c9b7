"""Audits of folders of photographs: faults, copies and leakage."""
