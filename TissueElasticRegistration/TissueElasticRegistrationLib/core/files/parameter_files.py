"""λ and μ of tissues in a json file: ``{"scale": "log", "tissues": {"lung": {"lambda": 0.5, "mu": 0.5}}}``."""

from __future__ import annotations

import os
from collections.abc import Iterable

from ..data.tissues import Lame, Tissue, TissueParameters, find_tissue, lame_of
from ..physics.parameter_scale import SCALES, ParameterScale, check_parameters, rescaled
from .text_files import read_json, shortened


def read_parameters(
    path: str | os.PathLike, tissues: Iterable[Tissue], base: TissueParameters, scale: ParameterScale
) -> TissueParameters:
    """Parameters of tissues from a file.

    Args:
        path: The json file; "scale" in it is optional ("log").
        tissues: The tissues there are; those in the file are found by name or id.
        base: The parameters of tissues that the file does not name.
        scale: Where the parameters are wanted: those of another scale are taken at the same slider positions.

    Returns:
        ``base`` with the parameters of the file.

    Raises:
        ValueError: Naming the file: it is not of this form, names an unknown tissue or one of them twice, or holds a
            value that is negative or outside of the range of its scale.
    """
    tissues = tuple(tissues)
    content = read_json(path)
    if (
        not isinstance(content, dict)
        or not isinstance(content.get("tissues"), dict)
        or set(content) - {"scale", "tissues"}
    ):
        raise ValueError(f'{path}: expected {{"tissues": {{NAME: {{"lambda": NUMBER, "mu": NUMBER}}}}}}.')
    scale_name = content.get("scale", "log")
    if not isinstance(scale_name, str) or scale_name not in SCALES:
        raise ValueError(f"{path}: unknown scale '{shortened(str(scale_name))}', expected one of {', '.join(SCALES)}.")
    source = SCALES[scale_name]
    parameters, keys = base, {}
    for name, values in content["tissues"].items():
        try:
            tissue = find_tissue(tissues, name)
            if tissue.label in keys:
                raise ValueError(f"'{keys[tissue.label]}' and '{name}' are the same tissue; give its values once.")
            keys[tissue.label] = name
            lame = _lame(values, name)
            check_parameters(TissueParameters({tissue.label: lame}), source, {tissue.label: tissue.name})
        except ValueError as error:
            raise ValueError(f"{path}: {' '.join(str(error).split())}") from error  # names may have line breaks
        parameters = parameters.with_tissue(tissue.label, lame if source == scale else rescaled(lame, source, scale))
    return parameters


def _lame(values: object, name: str) -> Lame:
    numbers = (
        isinstance(values, dict)
        and set(values) == {"lambda", "mu"}
        and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values.values())
    )
    if not numbers:
        raise ValueError(f'tissue \'{name}\' needs two numbers, "lambda" and "mu".')
    return lame_of((values["lambda"], values["mu"]), name)
