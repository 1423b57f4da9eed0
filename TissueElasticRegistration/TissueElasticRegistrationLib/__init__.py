"""Tissue-elastic image registration: core (arrays in, displacement in mm out), scene boundary and command line."""

__version__ = "0.1.0"
