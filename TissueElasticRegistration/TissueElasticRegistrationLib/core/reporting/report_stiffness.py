"""The section of the report on shear modulus ratios."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape

from ..data import glossary
from ..stiffness.shear_modulus_ratio import ShearModulusRatios, TissueModulusRatio
from .html_parts import NOTHING_TO_TELL, section, table, tissue_name, what_columns_mean

COLUMNS = (
    ("Tissue", "segment or label of the fixed image"),
    (glossary.SHEAR_MODULUS_RATIO.heading, glossary.SHEAR_MODULUS_RATIO.meaning),
)
EXPERIMENTAL = (
    "Experimental. These ratios are estimated from the deformation alone, independently of the λ and μ of "
    "the registration. This is not elastography: it yields ratios only, no values in kPa."
)


def stiffness_section(ratios: ShearModulusRatios, colors: Mapping[int, tuple[int, int, int]]) -> str:
    """HTML of the section.

    Args:
        ratios: What was estimated; a number is shown only where the deformation supports it.
        colors: RGB colors of the tissues by label, each 0 to 255.

    Returns:
        A table with one row per tissue, what it means, and why tissues have no ratio.
    """
    rows = [
        (tissue_name(row.tissue.name, colors.get(row.tissue.label)), [_cell(row, row.tissue == ratios.reference)])
        for row in ratios.per_tissue
    ]
    reasons = [
        f"{row.tissue.name}: no shear modulus ratio. {row.reason}" for row in ratios.per_tissue if not row.supported
    ]
    notes = "".join(f"<li>{escape(reason)}</li>" for reason in reasons)
    parts = [f"<p>{EXPERIMENTAL}</p>", table(COLUMNS, rows), *([f'<ul class="notes">{notes}</ul>'] if reasons else [])]
    return section("Shear modulus ratios", "\n".join([*parts, what_columns_mean(COLUMNS)]))


def _cell(row: TissueModulusRatio, is_reference: bool) -> str:
    if is_reference:
        return "1 (reference)"
    if not (row.supported and math.isfinite(row.mu)):
        return NOTHING_TO_TELL
    interval = f"{row.low:.2g} to {row.high:.2g}" if math.isfinite(row.high) else f"{row.low:.2g} or more"
    return f"{row.mu:.2g} ({interval})"
