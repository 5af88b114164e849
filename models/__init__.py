"""Scoring: robust scaling, a VAE, calibration to tail probabilities, and the tier machine. torch only where training is."""
