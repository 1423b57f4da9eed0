"""Choices of the panel: `label` is what the user reads, ``value`` what the core understands."""

from enum import Enum


class Alignment(Enum):
    """What is done before the deformation."""

    AUTO = "auto"
    NONE = "none"
    RIGID = "rigid"

    def label(self) -> str:
        return {"auto": "Automatic", "none": "None", "rigid": "Rigid"}[self.value]


class Criterion(Enum):
    """What auto-estimate judges by. Scenes store the names of the members."""

    DICE = "dice"
    LANDMARKS = "landmarks"
    SIMILARITY = "similarity"

    def label(self) -> str:
        return {"dice": "Overlap", "landmarks": "Landmarks", "similarity": "Similarity"}[self.value]


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
