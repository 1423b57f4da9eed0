"""Procedural thorax and abdomen pairs whose true deformation solves heterogeneous linear elasticity."""

from .case import PhantomCase, make_case
from .loads import LOADS

__all__ = ["LOADS", "PhantomCase", "make_case"]
