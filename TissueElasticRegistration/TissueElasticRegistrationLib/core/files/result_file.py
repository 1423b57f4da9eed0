"""The machine-readable account of a registration: ``result.json``, schema 1. Scripts rely on it, its keys stay."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from ..data.result import RegistrationResult, TissueResult

SCHEMA = 1
STEPS = ("prepare", "estimate", "register", "refine", "write")
SIGNIFICANT_DIGITS = 6


def result_json(result: RegistrationResult, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The content of ``result.json``; two equal runs differ in ``seconds`` and ``peak_memory_mb`` only.

    Args:
        result: The result of the registration.
        facts: What the result does not know: ``model`` (name, version, sha256), ``solver``, ``device``, ``seed``,
            ``versions`` (package -> version), ``peak_memory_mb``, ``estimate`` (as in the contract, None for none), and
            optionally ``seconds`` that add to or replace those of the result.

    Returns:
        Plain values, None where something could not be measured.
    """
    model = facts.get("model") or {}
    seconds = {**result.seconds, **(facts.get("seconds") or {})}
    return _plain(
        {
            "schema": SCHEMA,
            "model": {key: model.get(key) for key in ("name", "version", "sha256")},
            "solver": facts.get("solver"),
            "device": facts.get("device"),
            "seed": facts.get("seed"),
            "versions": dict(facts.get("versions") or {}),
            "grid": {
                "shape_kji": list(result.geometry.shape_kji),
                "spacing_mm": result.geometry.spacing_kji_mm.tolist(),
            },
            "tissues": [_tissue(tissue) for tissue in result.tissues],
            "similarity": {"before": result.similarity_before, "after": result.similarity_after},
            "tre_mm": _landmark_errors(result),
            "negative_jacobian_percent": result.negative_jacobian_percent,
            "seconds": {step: round(float(seconds.get(step, 0.0)), 3) for step in STEPS},
            "peak_memory_mb": facts.get("peak_memory_mb"),
            "estimate": facts.get("estimate"),
            "kept_share": result.objective_values.kept_share,
            "unreliable": list(result.unreliable),
            "warnings": list(result.warnings),
        }
    )


def json_text(content: Mapping[str, Any]) -> str:
    """The text of the file, for people to read as well.

    Args:
        content: Plain values (see `result_json`).

    Raises:
        ValueError: Values that JSON does not know (NaN, infinity).
    """
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _tissue(tissue: TissueResult) -> dict[str, Any]:
    return {
        "id": tissue.tissue.id,
        "name": tissue.tissue.name,
        "lambda": tissue.parameters.lam,
        "mu": tissue.parameters.mu,
        "poisson_ratio": tissue.parameters.poisson_ratio,
        "relative_stiffness": tissue.relative_stiffness,  # Young's modulus, of the λ and μ above
        "energy": tissue.energy,
        "strain_rms": tissue.strain_rms,
        "negative_jacobian_percent": tissue.negative_jacobian_percent,
        "dice_before": tissue.dice_before,
        "dice_after": tissue.dice_after,
        "hd95_mm_before": tissue.hd95_mm_before,
        "hd95_mm_after": tissue.hd95_mm_after,
        "dice_common_after": tissue.dice_common_after,  # where both images have values
        "hd95_mm_common_after": tissue.hd95_mm_common_after,
    }


def _landmark_errors(result: RegistrationResult) -> dict[str, Any] | None:
    errors = result.landmark_errors
    if errors is None:
        return None
    return {
        "before_mean": errors.before_mean,
        "after_mean": errors.after_mean,
        "before_max": errors.before_max,
        "after_max": errors.after_max,
        "n": errors.n,
    }


def _plain(value: Any) -> Any:
    """The same with numbers as JSON has them: numpy scalars unwrapped, rounded, None for what is not finite."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float):
        return float(f"{value:.{SIGNIFICANT_DIGITS}g}") if math.isfinite(value) else None
    return value
