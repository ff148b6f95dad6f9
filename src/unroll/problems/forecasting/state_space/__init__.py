"""Linear-Gaussian state-space models: Kalman filter, EM, and the prior of a window."""
