"""Choices of the panel: `label` is what the user reads, ``value`` what the core understands."""

from enum import Enum

from ..core.estimation.criteria.criterion import CRITERIA


class Alignment(Enum):
    """What is done before the deformation."""

    AUTO = "auto"
    NONE = "none"
    RIGID = "rigid"
    CENTERS = "centers"
    SEGMENTS = "segments"

    def label(self) -> str:
        return {
            "auto": "Automatic",
            "none": "None",
            "rigid": "Rigid",
            "centers": "Centers of mass",
            "segments": "Segments",
        }[self.value]


class _CriterionLabel(Enum):
    def label(self) -> str:
        return CRITERIA[self.value].label


# What auto-estimate judges by: DICE = "dice" and so on. Scenes store the names of the members.
Criterion = _CriterionLabel("Criterion", [(key.upper(), key) for key in CRITERIA], module=__name__)


class EstimateMethod(Enum):
    """How auto-estimate searches."""

    GRID = "grid"
    GRADIENT = "gradient"

    def label(self) -> str:
        return {"grid": "Grid", "gradient": "Gradient"}[self.value]


class Device(Enum):
    """Where to compute."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"

    def label(self) -> str:
        return {"auto": "Automatic", "cpu": "CPU", "cuda": "GPU (CUDA)"}[self.value]
