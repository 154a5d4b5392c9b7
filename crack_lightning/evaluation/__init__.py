"""Numbers: metrics, calibration, intervals, folds."""
