"""The three data sets of Reithmeir et al. 2024, as they are published, with the preprocessing of the paper.

- NLST and LungCT in the layout of Learn2Reg: ``<name>_dataset.json`` and imagesTr, with segmentations of the same file
  names in ``labelsTr`` (values 1 lung, 2 bone, 3 liver), or by TotalSegmentator in ``totalsegmentatorTr``: one file
  with all labels (version 2), or a folder of masks called like the image.
- ACDC: folders ``patientNNN`` with ``Info.cfg`` and the two frames it names, with their ``_gt`` segmentations.

None of them may be passed on, so tests read files of the same layout made on the spot.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .pair import TrainingPair
from .volumes import TOTALSEGMENTATOR, labels_of_masks, merged_labels, normalized_by_range, resampled, upright

SPLITS = {"train": "training_paired_images", "validation": "registration_val", "test": "registration_test"}
LUNG_CLASSES = ("lung", "bone", "liver")
ACDC_CLASSES = ("right ventricle", "myocardium", "left ventricle")


@dataclass(frozen=True)
class Recipe:
    """What the paper does with the images of one data set.

    Attributes:
        clip: Intensities that become 0 and 1 at most.
        spacing_mm: Of the equal voxels.
        shape: After cropping and padding.
        coronal: Only the middle coronal slice.
    """

    clip: tuple[float, float]
    spacing_mm: float
    shape: tuple[int, ...]
    coronal: bool = False


NLST = Recipe(clip=(-980.0, 1518.0), spacing_mm=1.5, shape=(224, 224), coronal=True)
LUNG_CT = Recipe(clip=(-980.0, 600.0), spacing_mm=2.0, shape=(192, 128, 192))
ACDC_SPACING_MM, ACDC_SHAPE = 1.8, (128, 128)
ACDC_SPLITS = {"train": slice(50), "validation": slice(50, 70), "test": slice(70, 100)}  # patients, in order


def learn2reg_pairs(folder: str | Path, recipe: Recipe, split: str = "train") -> list[TrainingPair]:
    """The pairs of one split of NLST or LungCT.

    Pairs that the list of the training also names among those for validation belong to validation.

    Args:
        folder: Of the data set.
        recipe: What is done with its images.
        split: "train" or "validation".

    Raises:
        ValueError: The list, the split, an image or a segmentation is missing.
    """
    folder = Path(folder)
    return [_learn2reg_pair(folder, recipe, entry) for entry in _entries(folder, split)]


def acdc_pairs(folder: str | Path, split: str = "train") -> list[TrainingPair]:
    """Middle slices of the patients of one split, fixed at the end of diastole, moving at the end of systole.

    Args:
        folder: Of the patients.
        split: One of ``ACDC_SPLITS``.

    Raises:
        ValueError: There is no such split, it has no patients, or one of them is incomplete.
    """
    if split not in ACDC_SPLITS:
        raise ValueError(f"There is no split '{split}'; there are {', '.join(ACDC_SPLITS)}.")
    patients = sorted(path for path in Path(folder).glob("patient*") if path.is_dir())[ACDC_SPLITS[split]]
    if not patients:
        raise ValueError(f"{folder}: there are no patient folders for {split}.")
    return [_acdc_pair(patient) for patient in patients]


def _entries(folder: Path, split: str) -> Iterator[dict[str, str]]:
    lists = sorted(folder.glob("*_dataset.json"))
    if len(lists) != 1:
        raise ValueError(f"{folder}: one file named ..._dataset.json is needed, there are {len(lists)}.")
    if split not in SPLITS:
        raise ValueError(f"There is no split '{split}'; there are {', '.join(SPLITS)}.")
    content = json.loads(lists[0].read_text(encoding="utf-8"))
    if SPLITS[split] not in content:
        raise ValueError(f"{lists[0]} lists no pairs for {split}.")
    elsewhere = [] if split != "train" else [*content.get(SPLITS["validation"], []), *content.get(SPLITS["test"], [])]
    return (entry for entry in content[SPLITS[split]] if entry not in elsewhere)


def _learn2reg_pair(folder: Path, recipe: Recipe, entry: dict[str, str]) -> TrainingPair:
    (fixed, fixed_labels), (moving, moving_labels) = (
        _learn2reg_volume(folder, recipe, folder / entry[role]) for role in ("fixed", "moving")
    )
    pair = TrainingPair(fixed, moving, fixed_labels, moving_labels, (recipe.spacing_mm,) * fixed.ndim)
    return pair.fitted(recipe.shape)


def _learn2reg_volume(folder: Path, recipe: Recipe, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Image on [0, 1] and merged labels, as a volume or as its middle coronal slice."""
    spacing_mm = (recipe.spacing_mm,) * 3
    clipped = sitk.Clamp(upright(path), sitk.sitkFloat32, *recipe.clip)
    image = sitk.GetArrayFromImage(resampled(clipped, spacing_mm))
    labels = sitk.GetArrayFromImage(resampled(_learn2reg_labels(folder, path), spacing_mm, nearest=True))
    if recipe.coronal:
        middle = image.shape[1] // 2
        image, labels = _head_up(image[:, middle]), _head_up(labels[:, middle])
    return normalized_by_range(image), labels


def _learn2reg_labels(folder: Path, image: Path) -> sitk.Image:
    part = image.parent.name.removeprefix("images")
    own, made = folder / f"labels{part}" / image.name, folder / f"totalsegmentator{part}" / image.name
    masks = made.parent / image.name.partition(".")[0]
    if own.exists():
        return upright(own)
    if masks.is_dir():
        return labels_of_masks(masks)
    if not made.exists():
        raise ValueError(f"{image.name}: there is no segmentation, neither {own} nor {made}.")
    volume = upright(made)
    merged = sitk.GetImageFromArray(merged_labels(sitk.GetArrayFromImage(volume), TOTALSEGMENTATOR))
    merged.CopyInformation(volume)
    return merged


def _acdc_pair(patient: Path) -> TrainingPair:
    frames = _acdc_frames(patient)
    (fixed, fixed_labels), (moving, moving_labels) = (_acdc_slice(patient, frames[phase]) for phase in ("ED", "ES"))
    middle = _middle(fixed_labels > 0)
    fixed, moving, fixed_labels, moving_labels = (
        _cropped(array, middle, ACDC_SHAPE) for array in (fixed, moving, fixed_labels, moving_labels)
    )
    return TrainingPair(
        normalized_by_range(fixed), normalized_by_range(moving), fixed_labels, moving_labels, (ACDC_SPACING_MM,) * 2
    )


def _acdc_frames(patient: Path) -> dict[str, int]:
    """Numbers of the frames at the ends of diastole (ED) and systole (ES)."""
    path = patient / "Info.cfg"
    if not path.exists():
        raise ValueError(f"{patient}: there is no Info.cfg.")
    lines = (line.partition(":") for line in path.read_text(encoding="utf-8").splitlines())
    found = {name.strip(): value.strip() for name, _, value in lines}
    if not {"ED", "ES"} <= set(found):
        raise ValueError(f"{path} does not say which frames are ED and ES.")
    return {phase: int(found[phase]) for phase in ("ED", "ES")}


def _acdc_slice(patient: Path, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """The middle slice with equal pixels. Slices are not turned upright: the short axis is oblique anyway."""
    arrays = []
    for name, nearest in ((f"{patient.name}_frame{frame:02d}", False), (f"{patient.name}_frame{frame:02d}_gt", True)):
        paths = [path for path in (patient / f"{name}.nii.gz", patient / f"{name}.nii") if path.exists()]
        if not paths:
            raise ValueError(f"{patient}: there is no {name}.nii.gz.")
        volume = sitk.ReadImage(str(paths[0]))
        slices = volume[:, :, volume.GetSize()[2] // 2 : volume.GetSize()[2] // 2 + 1]
        even = resampled(slices, (ACDC_SPACING_MM, ACDC_SPACING_MM, slices.GetSpacing()[2]), nearest)
        arrays.append(sitk.GetArrayFromImage(even)[0])
    return arrays[0].astype(np.float32), arrays[1].astype(np.uint8)


def _middle(mask: np.ndarray) -> tuple[int, ...]:
    """Of the box around a mask; of the image if the mask is empty."""
    if not mask.any():
        return tuple(n // 2 for n in mask.shape)
    places = np.argwhere(mask)
    return tuple(((places.min(0) + places.max(0) + 1) // 2).tolist())


def _cropped(array: np.ndarray, middle: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    """``shape`` around ``middle``, continued with zeros outside."""
    padded = np.pad(array, [(n, n) for n in shape])
    return padded[tuple(slice(m + n - n // 2, m + n - n // 2 + n) for m, n in zip(middle, shape, strict=True))]


def _head_up(plane: np.ndarray) -> np.ndarray:
    """Rows from superior to inferior, as slices are looked at."""
    return np.ascontiguousarray(plane[::-1])
