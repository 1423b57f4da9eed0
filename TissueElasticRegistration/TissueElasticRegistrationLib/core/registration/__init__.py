"""Solvers and the registrar that runs them."""
