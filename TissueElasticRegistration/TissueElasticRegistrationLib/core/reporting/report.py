"""One self-contained HTML page about a registration: what was measured, the pictures, and how it was made.

It works offline (pictures inside, no scripts), adapts to light and dark screens, and holds neither times nor dates, so
that equal runs give equal files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from html import escape
from pathlib import PurePath
from typing import Any, NamedTuple

from ..data import glossary
from ..data.glossary import Quantity
from ..data.images import ImagePair
from ..data.result import RegistrationResult, TissueResult
from ..estimation.estimate_result import Estimate
from ..stiffness.shear_modulus_ratio import ShearModulusRatios
from .html_parts import change, figure, number, section, table, tissue_name, what_columns_mean
from .picture_planes import Plane
from .pictures import DIFFERENCE_MEANS, VOLUME_CHANGE_MEANS
from .report_estimate import TISSUE_COLUMN, estimate_section
from .report_pictures import Picture, colors_by_label, report_pictures
from .report_stiffness import stiffness_section
from .report_style import CSS
from .verdict import Finding, findings, verdict

LEVEL_WORDS = {"problem": "Problem", "caution": "Check", "fine": "No problem found", "unmeasured": "Not measured"}


class Column(NamedTuple):
    """One column of the table of tissues.

    Attributes:
        quantity: What it shows.
        values: From the result of one tissue, its number or, before and after registration, its two numbers.
        changes: Whether there are two.
    """

    quantity: Quantity
    values: Callable[[TissueResult], tuple[float, ...]]
    changes: bool = False

    @property
    def title(self) -> tuple[str, str]:
        """What the column is called, and what it means."""
        return self.quantity.heading, self.quantity.before_after if self.changes else self.quantity.described

    def cell(self, row: TissueResult) -> str:
        """HTML."""
        return (change if self.changes else number)(*self.values(row), self.quantity.layout)


TISSUE_COLUMNS = (
    Column(glossary.LAMBDA, lambda row: (row.parameters.lam,)),
    Column(glossary.MU, lambda row: (row.parameters.mu,)),
    Column(glossary.POISSON_RATIO, lambda row: (row.parameters.poisson_ratio,)),
    Column(glossary.STIFFNESS, lambda row: (row.relative_stiffness,)),
    Column(glossary.ENERGY, lambda row: (row.energy,)),
    Column(glossary.STRAIN, lambda row: (row.strain_rms,)),
    Column(glossary.FOLDING, lambda row: (row.negative_jacobian_percent,)),
    Column(glossary.DICE, lambda row: (row.dice_before, row.dice_after), changes=True),
    Column(glossary.HD95, lambda row: (row.hd95_mm_before, row.hd95_mm_after), changes=True),
)
NO_STIFFNESS = (
    "λ and μ weight elastic energy against image similarity; only their ratios are meaningful. They are not "
    "measured stiffness: registration is not elastography."
)
PICTURE_NOTES = (
    "The outlines in every picture are those of the tissues in the fixed image: where an image matches the "
    "fixed image, its structures lie inside them.",
    f"Difference: {DIFFERENCE_MEANS}; slate blue outside the moving image.",
    "Deformation: a grid that is regular in the fixed image, drawn as the deformation moves it (motion "
    "through the plane and the rigid alignment, if any, are not shown).",
    f"Volume change (Jacobian determinant, no unit): {VOLUME_CHANGE_MEANS}. The darkest blue is 0.5 or less, "
    "the darkest red 2 or more.",
)


def report_html(
    pair: ImagePair,
    result: RegistrationResult,
    facts: Mapping[str, Any],
    estimate: Estimate | None = None,
    ratios: ShearModulusRatios | None = None,
) -> str:
    """The page as text.

    Args:
        pair: The images that were registered.
        result: The result of the registration.
        facts: As for `result_json`; its seconds and memory are left out on purpose.
        estimate: Where ``facts["estimate"]`` comes from, for a section of its own.
        ratios: Of shear moduli, where they were estimated, for a section of their own.
    """
    found = findings(pair, result, facts)
    title = f"{pair.moving.name} registered to {pair.fixed.name}"
    body = "\n".join(
        [
            f"<header><p>Tissue elastic registration</p><h1>{escape(title)}</h1></header>",
            _verdict(found),
            section("Tissues", _tissue_table(pair, result)),
            *([] if estimate is None else [_estimate_section(estimate, pair, result, facts)]),
            *([] if ratios is None else [stiffness_section(ratios, colors_by_label(pair))]),
            section("Pictures", _pictures(report_pictures(pair, result))),
            section("Processing details", _provenance(pair, result, facts)),
        ]
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _verdict(found: list[Finding]) -> str:
    worst = next((level for level in ("problem", "caution") if any(f.level == level for f in found)), "fine")
    items = "\n".join(
        f'<li class="{finding.level}"><b>{LEVEL_WORDS[finding.level]}</b> <span>{escape(finding.sentence)}</span></li>'
        for finding in found
    )
    return f'<section class="verdict {worst}">\n<p>{escape(verdict(found))}</p>\n<ul>\n{items}\n</ul>\n</section>'


def _tissue_table(pair: ImagePair, result: RegistrationResult) -> str:
    colors = colors_by_label(pair)
    titles = [TISSUE_COLUMN, *(column.title for column in TISSUE_COLUMNS)]
    rows = [
        (tissue_name(row.tissue.name, colors.get(row.tissue.label)), [column.cell(row) for column in TISSUE_COLUMNS])
        for row in result.tissues
    ]
    return table(titles, rows) + "\n" + what_columns_mean(titles, NO_STIFFNESS)


def _estimate_section(estimate: Estimate, pair: ImagePair, result: RegistrationResult, facts: Mapping[str, Any]) -> str:
    model = (facts.get("estimate") or {}).get("search_model") or facts.get("model") or {}
    name = model.get("name") if model.get("sha256") else None
    return estimate_section(estimate, pair, result, colors_by_label(pair), name)


def _pictures(planes: Iterable[tuple[Plane, list[Picture]]]) -> str:
    parts = []
    for plane, shown in planes:
        left, right, top, bottom = plane.edges
        figures = "\n".join(
            figure(picture.rgb, escape(picture.caption), f"{picture.caption}, {plane.name}") for picture in shown
        )
        parts.append(
            f"<h3>{plane.name.capitalize()} <small>left edge {left}, right {right}, top {top}, bottom {bottom}"
            f'</small></h3>\n<div class="pictures">\n{figures}\n</div>'
        )
    notes = "".join(f"<li>{escape(note)}</li>" for note in PICTURE_NOTES)
    return "\n".join(parts) + f'\n<ul class="notes">{notes}</ul>'


def _provenance(pair: ImagePair, result: RegistrationResult, facts: Mapping[str, Any]) -> str:
    model = facts.get("model") or {}
    grid = " × ".join(str(size) for size in result.geometry.shape_kji[::-1])
    spacing = " × ".join(f"{length:.3g}" for length in result.geometry.spacing_ijk_mm)
    values = result.objective_values
    rows = {
        "Fixed image": pair.fixed.name,
        "Moving image": pair.moving.name,
        "Fixed segmentation": PurePath(pair.fixed_segmentation.name).name,
        "Moving segmentation": PurePath(pair.moving_segmentation.name).name if pair.moving_segmentation else "none",
        "Landmarks": f"{result.landmark_errors.n}" if result.landmark_errors else "none",
        "Initial alignment": result.initial,
        "Model": " ".join(str(model[key]) for key in ("name", "version") if model.get(key)) or "none",
        "Weights (SHA-256)": model.get("sha256") or "none",
        "Solver": facts.get("solver"),
        "Parameters": _estimate(facts.get("estimate")),
        "Objective": f"{values.objective_before:.5g} before, {values.objective_after:.5g} after {values.steps} "
        f"steps (energy {values.energy_after:.3g}, similarity {values.similarity_before:.4g} before, "
        f"{values.similarity_after:.4g} after)",
        "Registration grid": f"{grid} voxels of {spacing} mm (i, j, k)",
        "Device": facts.get("device"),
        "Seed": facts.get("seed"),
        "Software": ", ".join(f"{name} {version}" for name, version in (facts.get("versions") or {}).items()),
    }
    items = "\n".join(
        f"<dt>{escape(key)}</dt><dd>{escape(str(value))}</dd>"
        for key, value in rows.items()
        if value is not None and value != ""
    )
    return f"<dl>\n{items}\n</dl>\n<p>Computing times and memory use are in result.json.</p>"


def _estimate(estimate: Mapping[str, Any] | None) -> str:
    if not estimate or not estimate.get("objective"):
        return "as given"
    held_out = estimate.get("held_out") or {}
    kept = [
        *(f"tissue {key}" for key in held_out.get("tissues", ())),
        *(f"landmark {name}" for name in held_out.get("landmarks", ())),
    ]
    return (
        f"estimated for this image pair ({estimate.get('method')} search, criterion "
        f"{estimate.get('objective')}); held out: {', '.join(kept) or 'none'}"
    )
