"""Experimental: ratios of shear moduli from a deformation."""
