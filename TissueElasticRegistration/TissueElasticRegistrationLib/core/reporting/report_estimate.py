"""The section of the report on an estimate: what was searched and found, what speaks for it, and what does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import NamedTuple

from ..data import glossary
from ..data.glossary import Quantity
from ..data.images import ImagePair
from ..data.result import RegistrationResult
from ..data.tissues import BACKGROUND
from ..estimation.criteria.criterion import CRITERIA
from ..estimation.estimate_result import Estimate, TissueEstimate
from ..estimation.landscape import INSENSITIVE_RANGE
from .estimate_summary import Evidence, confidence, evidence
from .html_parts import NOTHING_TO_TELL, change, figure, number, section, table, tissue_name, what_columns_mean
from .landscape_picture import SPAN, landscape_picture

PICTURE_PIXELS = 200
NO_ELASTOGRAPHY = (
    "An estimate is not elastography: these values register this image pair best by that criterion, which "
    "does not make them the stiffness of its tissues."
)
TISSUE_COLUMN = ("Tissue", "segment or label of the fixed image")
EVIDENCE_COLUMNS = (("Measure", ""), ("Before", "before the registration"), ("After", "after the registration"))
NO_EVIDENCE = "No measurement is independent of the search. Hold out a tissue or landmarks to check the values."
NOTHING_MEASURED = (
    "Neither overlap nor landmarks were measured, so there is no evidence that these values are better than others."
)

Colors = Mapping[int, tuple[int, int, int]]


def estimate_section(
    estimate: Estimate, pair: ImagePair, result: RegistrationResult, colors: Colors, model: str | None = None
) -> str:
    """HTML of the section. model: name of the network that was asked, None for the direct solver."""
    parts = [f"<p>{_what_was_done(estimate, model)} {NO_ELASTOGRAPHY}</p>", *_tissues(estimate, colors)]
    if estimate.landscape is not None:
        parts += _landscapes(estimate)
    parts += _evidence(evidence(estimate, pair, result))
    return section("Estimate of λ and μ", "\n".join(parts))


def _what_was_done(estimate: Estimate, model: str | None) -> str:
    count = len(estimate.tuned_on)
    tissues = f"{count} tissues" if count > 1 else "one tissue"
    grid, judged = estimate.landscape, CRITERIA[estimate.criterion].judged_by
    asked = f"with the model “{model}”" if model else "with the direct solver"
    if grid is None:
        return escape(
            f"λ and μ of {tissues} were optimized step by step from their start values {asked}, judged by {judged}."
        )
    return escape(
        f"λ and μ of {tissues} were searched on a grid of {len(grid.lam)} × {len(grid.mu)} values from "
        f"{grid.lam[0]:.3g} to {grid.lam[-1]:.3g} {asked}, judged by {judged}; for each tissue, the values "
        "that fit best were selected."
    )


class Column(NamedTuple):
    """``cell``: HTML for the tissue with this number in the estimate."""

    name: str
    meaning: str
    cell: Callable[[int, TissueEstimate], str]


def _tissues(estimate: Estimate, colors: Colors) -> list[str]:
    columns = _columns(estimate)
    titles = [TISSUE_COLUMN, *((column.name, column.meaning) for column in columns)]
    rows = [
        (tissue_name(row.tissue.name, colors.get(row.tissue.label)), [one.cell(place, row) for one in columns])
        for place, row in enumerate(estimate.per_tissue)
        if row.tissue.label != BACKGROUND
    ]
    return [table(titles, rows), what_columns_mean(titles)]


def _column(quantity: Quantity, value: Callable[[TissueEstimate], float]) -> Column:
    return Column(quantity.heading, quantity.meaning, lambda _, row: number(value(row), quantity.layout))


def _columns(estimate: Estimate) -> list[Column]:
    score = CRITERIA[estimate.criterion]

    def scores(_: int, row: TissueEstimate) -> str:
        return change(score.sign * row.start_score, score.sign * row.score, score.number_format, NOTHING_TO_TELL)

    columns = [
        _column(glossary.LAMBDA, lambda row: row.lame.lam),
        _column(glossary.MU, lambda row: row.lame.mu),
        _column(glossary.POISSON_RATIO, lambda row: row.lame.poisson_ratio),
        Column("From", "whether the values were estimated", lambda _, row: _origin(row, estimate)),
        Column(
            f"{score.quantity}{score.unit_suffix}",
            "criterion of the search at the start values and at these; on a grid, with equal values for all tissues",
            _for_estimated(scores),
        ),
        Column(
            glossary.FLAT.heading,
            glossary.FLAT.meaning,
            _for_estimated(lambda _, row: "yes" if row.insensitive else "no"),
        ),
    ]
    if estimate.landscape is not None:
        columns.append(
            Column(
                glossary.CONFIDENCE.heading,
                glossary.CONFIDENCE.meaning,
                _for_estimated(lambda place, _: number(confidence(estimate, place), ".2f")),
            )
        )
    return columns


def _for_estimated(cell: Callable[[int, TissueEstimate], str]) -> Callable[[int, TissueEstimate], str]:
    """Nothing for tissues that were not searched."""
    return lambda place, row: cell(place, row) if row.is_estimated else NOTHING_TO_TELL


def _origin(row: TissueEstimate, estimate: Estimate) -> str:
    if row.is_estimated:
        return "estimated"
    return "unchanged, held out" if row.tissue in estimate.held_out else "unchanged"


def _landscapes(estimate: Estimate) -> list[str]:
    grid = estimate.landscape
    score = CRITERIA[estimate.criterion]
    span, figures = SPAN / INSENSITIVE_RANGE * grid.insensitive_range, []
    for place, row in enumerate(estimate.per_tissue):
        if row.is_estimated:
            rgb = landscape_picture(
                grid.scores[place], row.point, grid.near_best(place) if row.insensitive else None, PICTURE_PIXELS, span
            )
            caption = (
                f"<b>{escape(row.tissue.name)}</b><br>λ {row.lame.lam:.3g}, μ {row.lame.mu:.3g}, "
                f"{score.quantity} {score.text(row.score)}" + (", flat" if row.insensitive else "")
            )
            figures.append(figure(rgb, caption, f"{score.quantity} of {row.tissue.name} for all tested λ and μ"))
    notes = (
        f"λ increases from left to right and μ upward, both from {grid.lam[0]:.3g} to {grid.lam[-1]:.3g} in "
        "equal slider steps. The ring marks the chosen values.",
        f"Yellow is the best; dark violet is worse by {span:g}{score.unit_suffix} or more, gray is not known.",
        f"If more than half is as good as the best within {grid.insensitive_range:g}{score.unit_suffix}, the "
        "landscape is flat and that part is hatched: λ and μ of this tissue have little effect.",
    )
    return [
        f"<h3>{score.quantity} for all tested λ and μ</h3>",
        '<div class="landscapes">\n' + "\n".join(figures) + "\n</div>",
        '<ul class="notes">' + "".join(f"<li>{escape(note)}</li>" for note in notes) + "</ul>",
    ]


def _evidence(found: list[Evidence]) -> list[str]:
    """What the search has not looked at first, and apart."""
    if not found:
        return ["<h3>Independent evidence</h3>", f"<p>{NOTHING_MEASURED}</p>"]
    independent, tuned = ([one for one in found if one.independent == wanted] for wanted in (True, False))
    parts = [
        "<h3>Independent evidence <small>not used for the search</small></h3>",
        _evidence_table(independent) if independent else f"<p>{NO_EVIDENCE}</p>",
    ]
    if tuned:
        parts += [
            "<h3>Tuned <small>λ and μ were chosen to optimize these: not independent evidence</small></h3>",
            _evidence_table(tuned),
        ]
    return parts


def _evidence_table(found: list[Evidence]) -> str:
    rows = []
    for one in found:
        layout = ".2f" if one.unit == "mm" else ".3f"
        rows.append(
            (
                escape(one.what),
                [f"{value:{layout}}" + (" mm" if one.unit == "mm" else "") for value in (one.before, one.after)],
            )
        )
    return table(EVIDENCE_COLUMNS, rows)
