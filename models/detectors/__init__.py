"""Anomaly detectors behind one interface: pure measures of windows, calibrated to tail probabilities and combined."""
