"""Trained networks: what they are, what they fit, how they compute."""
