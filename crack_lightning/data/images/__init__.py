"""Any image file as an upright RGB picture."""
