"""One self-contained HTML page about a registration: what was measured, the pictures, and how it was made.

It works offline (pictures inside, no scripts), adapts to light and dark screens, and holds neither times nor dates, so
that equal runs give equal files.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import PurePath
from typing import Any

from ..images import ImagePair
from ..result import RegistrationResult, TissueResult
from .picture_planes import Plane
from .pictures import data_uri
from .report_pictures import Picture, colors_by_label, report_pictures
from .report_style import CSS
from .verdict import Finding, findings, verdict

NOT_MEASURED = '<span class="none">not measured</span>'
LEVEL_WORDS = {"problem": "Problem", "caution": "Look at this", "fine": "No fault seen", "unmeasured": "Not measured"}
TISSUE_COLUMNS = (
    ("Tissue", "segment or label of the fixed image"),
    ("λ", "first Lamé parameter, a relative weight without unit: resistance to a change of volume"),
    ("μ", "second Lamé parameter, a relative weight without unit: resistance to a change of shape"),
    ("ν", "Poisson ratio λ / (2 (λ + μ)): 0 freely compressible, 0.5 incompressible"),
    ("Stiffness", "Young's modulus relative to soft tissue"),
    ("Energy", "mean elastic energy density, weights included, no unit"),
    ("Strain", "root mean square of the strain tensor's norm, no unit"),
    ("Folding %", "share of the tissue's voxels at which the deformation folds"),
    ("Dice", "overlap with the moving segmentation, before and after: 1 is complete"),
    ("HD95 mm", "95th percentile of the surface distances, before and after"),
)
PICTURE_NOTES = (
    "Outlines in every picture are those of the fixed image's tissues: where an image agrees with the fixed one, its "
    "structures lie inside their outlines.",
    "Difference: moving minus fixed intensity; white is equal, blue lower, red higher, gray outside of the moving "
    "image.",
    "Deformation: lines that are straight and evenly spaced in the fixed image, where the deformation puts them "
    "(motion across the plane is not shown, nor is overall rigid motion if the images were aligned first).",
    "Volume change from fixed to moving image (Jacobian determinant): blue shrinks to a half, white keeps its volume, "
    "red grows to the double; magenta folds.",
)


def report_html(pair: ImagePair, result: RegistrationResult, facts: Mapping[str, Any]) -> str:
    """The page as text. ``facts``: as for `result_json`; its seconds and memory are left out on purpose."""
    found = findings(pair, result, facts)
    title = f"{pair.moving.name} registered to {pair.fixed.name}"
    body = "\n".join([
        f"<header><p>Tissue elastic registration</p><h1>{escape(title)}</h1></header>",
        _verdict(found),
        _section("Tissues", _tissue_table(pair, result)),
        _section("Pictures", _pictures(report_pictures(pair, result))),
        _section("How it was made", _provenance(pair, result, facts)),
    ])
    return ('<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{escape(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n")


def _section(heading: str, content: str) -> str:
    return f"<section>\n<h2>{escape(heading)}</h2>\n{content}\n</section>"


def _verdict(found: list[Finding]) -> str:
    worst = next((level for level in ("problem", "caution") if any(f.level == level for f in found)), "fine")
    items = "\n".join(f'<li class="{finding.level}"><b>{LEVEL_WORDS[finding.level]}</b> '
                      f"<span>{escape(finding.sentence)}</span></li>" for finding in found)
    return (f'<section class="verdict {worst}">\n<p>{escape(verdict(found))}</p>\n<ul>\n{items}\n</ul>\n</section>')


def _tissue_table(pair: ImagePair, result: RegistrationResult) -> str:
    colors = colors_by_label(pair)
    head = "".join(f'<th scope="col" title="{escape(meaning)}">{escape(name)}</th>' for name, meaning in TISSUE_COLUMNS)
    rows = "\n".join(_tissue_row(tissue, colors.get(tissue.tissue.label)) for tissue in result.tissues)
    notes = "".join(f"<dt>{escape(name)}</dt><dd>{escape(meaning)}</dd>" for name, meaning in TISSUE_COLUMNS[1:])
    return (f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>\n'
            f"<details><summary>What the columns mean</summary><dl>{notes}</dl><p>λ and μ weigh elastic energy against "
            "image similarity; only their ratios mean something. They are not measured stiffness: a registration is no "
            "elastography.</p></details>")


def _tissue_row(tissue: TissueResult, color: tuple[int, int, int] | None) -> str:
    swatch = f'<i style="background: rgb{color}"></i>' if color else "<i></i>"
    cells = [
        _number(tissue.parameters.lam, ".3g"),
        _number(tissue.parameters.mu, ".3g"),
        _number(tissue.parameters.poisson_ratio, ".2f"),
        _number(tissue.relative_stiffness, ".3g"),
        _number(tissue.energy, ".3g"),
        _number(tissue.strain_rms, ".3f"),
        _number(tissue.negative_jacobian_percent, ".2g"),
        _change(tissue.dice_before, tissue.dice_after, ".3f"),
        _change(tissue.hd95_mm_before, tissue.hd95_mm_after, ".2f"),
    ]
    return (f'<tr><th scope="row">{swatch}{escape(tissue.tissue.name)}</th>'
            + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")


def _number(value: float, layout: str) -> str:
    return format(value, layout) if math.isfinite(value) else NOT_MEASURED


def _change(before: float, after: float, layout: str) -> str:
    if not (math.isfinite(before) or math.isfinite(after)):
        return NOT_MEASURED
    return f"{_number(before, layout)} → {_number(after, layout)}"


def _pictures(planes: Iterable[tuple[Plane, list[Picture]]]) -> str:
    parts = []
    for plane, shown in planes:
        left, right, top, bottom = plane.edges
        figures = "\n".join(_figure(picture, plane.name) for picture in shown)
        parts.append(f"<h3>{plane.name.capitalize()} <small>left edge {left}, right {right}, top {top}, bottom {bottom}"
                     f'</small></h3>\n<div class="pictures">\n{figures}\n</div>')
    notes = "".join(f"<li>{escape(note)}</li>" for note in PICTURE_NOTES)
    return "\n".join(parts) + f'\n<ul class="notes">{notes}</ul>'


def _figure(picture: Picture, plane_name: str) -> str:
    rows, columns, _ = picture.rgb.shape
    caption = escape(picture.caption)
    return (f'<figure><img src="{data_uri(picture.rgb)}" width="{columns}" height="{rows}" '
            f'alt="{caption}, {plane_name}">'
            f"<figcaption>{caption}</figcaption></figure>")


def _provenance(pair: ImagePair, result: RegistrationResult, facts: Mapping[str, Any]) -> str:
    model = facts.get("model") or {}
    grid = " × ".join(str(size) for size in result.geometry.shape_kji[::-1])
    spacing = " × ".join(f"{length:.3g}" for length in result.geometry.spacing_ijk_mm)
    account = result.account
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
        "Objective": f"{account.objective_before:.5g} before, {account.objective_after:.5g} after {account.steps} "
                     f"steps (energy {account.energy_after:.3g}, similarity {account.similarity_before:.4g} before, "
                     f"{account.similarity_after:.4g} after)",
        "Working grid": f"{grid} voxels of {spacing} mm (i, j, k)",
        "Device": facts.get("device"),
        "Seed": facts.get("seed"),
        "Software": ", ".join(f"{name} {version}" for name, version in (facts.get("versions") or {}).items()),
    }
    items = "\n".join(f"<dt>{escape(key)}</dt><dd>{escape(str(value))}</dd>" for key, value in rows.items()
                      if value is not None and value != "")
    return f"<dl>\n{items}\n</dl>\n<p>Computing times and memory are in result.json.</p>"


def _estimate(estimate: Mapping[str, Any] | None) -> str:
    if not estimate:
        return "given"
    held_out = estimate.get("held_out") or {}
    kept = [*(f"tissue {key}" for key in held_out.get("tissues", ())),
            *(f"landmark {name}" for name in held_out.get("landmarks", ()))]
    return (f"estimated for this pair ({estimate.get('method')} search, objective {estimate.get('objective')}); "
            f"held out of the search: {', '.join(kept) or 'nothing'}")
