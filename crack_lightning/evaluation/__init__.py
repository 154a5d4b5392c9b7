"""Metrics, calibration, intervals and folds."""
