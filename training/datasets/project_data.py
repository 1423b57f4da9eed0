"""Public real images, converted to NIfTI and kept outside the repository, as training data.

Shipped models must not have seen what they are judged on: of the volumes here only single ones are used with made
motion, and the pairs (lung, heart, tumour) only when a run asks for them.
"""

from __future__ import annotations

from pathlib import Path

from .pair import TrainingPair
from .prepared import prepared_pairs
from .simulated import RealVolume

DERIVED_TISSUES = {1: "lung", 2: "soft", 3: "bone"}
ABDOMEN_CT = {
    5: "liver",
    6: "stomach",
    20: "colon",
    21: "bladder",
    **dict.fromkeys((10, 11, 14), "lung"),
    **dict.fromkeys((*range(25, 34), *range(75, 79), *range(98, 118)), "bone"),
}
ABDOMEN_MR = {5: "liver", 11: "lung", 19: "vertebrae"}
BRAIN_MR = dict.fromkeys((4, 5, 14, 15, 24, 43, 44, 72), "csf")
# Fixed and moving image and the labels of the fixed one, in the folder of a case.
PAIRS = {
    "lung-4dct-p102": ("exhale_phase50_ct", "inhale_phase00_ct", "exhale_phase50_tissue"),
    **{f"cardiac-cine-scd0000{number}01": ("ed", "es", "ed_labels") for number in (1, 3, 4)},
    **{f"brain-tumor-{number}": ("pre_t1", "post_t1", "pre_labels") for number in ("05", "08")},
}


def single_volumes(data: str | Path) -> dict[str, RealVolume]:
    """Volumes for made motion, by name."""
    data = Path(data).expanduser()

    def volume(case: str, image: str, labels: str, names: dict[int, str], ct: bool) -> RealVolume:
        return RealVolume(data / case / f"{image}.nii.gz", data / case / f"{labels}.nii.gz", names, ct)

    return {
        "thorax": volume("ct-thorax-4dlung-p103", "ct", "tissue", DERIVED_TISSUES, True),
        "abdomen": volume("ct-abdomen-totalseg", "ct", "labels", ABDOMEN_CT, True),
        "mr": volume("mr-abdomen-totalseg", "mr", "labels", ABDOMEN_MR, False),
        "brain": volume("brain-mr-voxelmorph", "t1", "labels", BRAIN_MR, False),
    }


def real_pairs(
    data: str | Path, cases: tuple[str, ...], dimension: int, finest_mm: float | None = None
) -> list[TrainingPair]:
    """Real pairs as the registrar prepares them, without any truth; in 2D every slice that shows enough of the body.

    Args:
        data: Folder of the data sets.
        cases: Names of pairs.
        dimension: 2 or 3.
        finest_mm: Voxels are not made smaller than this.

    Raises:
        ValueError: A case is unknown.
    """
    unknown = sorted(set(cases) - set(PAIRS))
    if unknown:
        raise ValueError(f"There are no pairs {unknown}; there are {', '.join(PAIRS)}.")
    folder = Path(data).expanduser()
    return [piece for case in cases for piece in _pieces(folder / case, PAIRS[case], dimension, finest_mm)]


def _pieces(folder: Path, names: tuple[str, str, str], dimension: int, finest_mm: float | None) -> list[TrainingPair]:
    return prepared_pairs(*[folder / f"{name}.nii.gz" for name in names], dimension, finest_mm)
