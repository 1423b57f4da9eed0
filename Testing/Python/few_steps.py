"""Registrations and estimates of few steps, for tests that do not ask how good they are."""

from __future__ import annotations

from importlib import import_module

import pytest

LIBRARY = "TissueElasticRegistrationLib"


def take_few_steps(patch: pytest.MonkeyPatch) -> None:
    """Replace the numbers of steps, in the modules as they are loaded now: others after a reload of the extension."""
    direct = import_module(f"{LIBRARY}.core.registration.direct_solver")
    settings = direct.DirectSettings((direct.Stage(4, 6), direct.Stage(2, 4), direct.Stage(1, 6)))
    few = {
        "registration.direct_solver": {"SETTINGS_2D": settings, "SETTINGS_3D": settings},
        "registration.live": {"FINE_STEPS": {2: 5, 3: 4}, "FINE_ROUNDS": 3, "CONVERGED": 0.0},
        "estimation.coarse_registration": {"NEIGHBOR_STEPS": {2: 3, 3: 3}},
        "estimation.gradient_search": {"DIRECT_STEPS": 3},
        "stiffness.modulus_posterior": {"EVALUATIONS": 4},
        "stiffness.shear_modulus_ratio": {"MAX_NODES": {2: 600, 3: 600}, "MAX_NODES_FIRST_PASS": {2: 600, 3: 600}},
    }
    for module, values in few.items():
        for name, value in values.items():
            patch.setattr(import_module(f"{LIBRARY}.core.{module}"), name, value)
