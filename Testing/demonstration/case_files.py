"""A simulated patient as files."""

from __future__ import annotations

from pathlib import Path

from TissueElasticRegistrationLib.core.files.output_folder import output_folder
from training.phantoms import make_case

DIMENSION, SPACING_MM, PATIENT = 3, 6.0, 3
TISSUES = "1=lung,2=bone,3=liver,4=soft"


def simulated_case(
    folder: Path, dimension: int = DIMENSION, patient: int = PATIENT, spacing_mm: float = SPACING_MM
) -> dict[str, str]:
    """Simulate a patient who breathes, save the case in ``folder``, and return it as options of the demonstration."""
    names = {option: f"{option}.nii.gz" for option in ("fixed", "moving", "segmentation", "moving_segmentation")}
    names["landmarks"] = "landmarks.csv"
    with output_folder(folder, names.values()) as unfinished:
        make_case(dimension, patient, spacing_mm=spacing_mm).save(unfinished)
    return {**{option: str(folder / name) for option, name in names.items()}, "tissues": TISSUES}
