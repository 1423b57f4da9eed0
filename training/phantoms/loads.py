"""What moves the body: forces per volume in the body frame, and the springs that hold the spine.

The size of the forces has no meaning (the displacement is scaled to the wanted motion afterwards), their pattern has.
All arrays are per element: forces (A, B[, C], D) with components down, [back,] left, springs (A, B[, C]).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from .subject import AIR, BONE, BodyFrame, Canvas, smooth_noise

SPINE_SPRING_KPA_PER_MM2 = (5.0, 20.0)
TABLE_SHARE = 0.02
RANDOM_FORCE = 0.07  # against 2.6 for the diaphragm
RANDOM_FORCE_WIDTH_MM = 36.0
SKIN_MM = 8.0  # depth over which a surface pressure is spread


@dataclass(frozen=True)
class Load:
    """Force per volume and spring stiffness per volume of every element.

    Attributes:
        forces: (A, B[, C], D).
        springs: (A, B[, C]).
    """

    forces: np.ndarray
    springs: np.ndarray


def draw_load(name: str, labels: np.ndarray, canvas: Canvas, frame: BodyFrame, generator: np.random.Generator) -> Load:
    """The load of one subject, plus a weak random smooth body force.

    Args:
        name: One of ``LOADS``.
        labels: (A, B[, C]).
        canvas: Their grid.
        frame: Of the subject.
        generator: Draws what is random.

    Raises:
        ValueError: There is no such load.
    """
    if name not in LOADS:
        raise ValueError(f"Unknown load '{name}'; the loads are {', '.join(LOADS)}.")
    forces = LOADS[name](labels, canvas, frame, generator)
    strength = RANDOM_FORCE if name == "breathing" else RANDOM_FORCE * np.abs(forces).max() / 2.6
    for axis in range(canvas.dimension):
        forces[..., axis] += strength * smooth_noise(generator, canvas, RANDOM_FORCE_WIDTH_MM) * (labels != AIR)
    return Load(forces, _springs(labels, canvas, frame, generator))


def _breathing(labels: np.ndarray, canvas: Canvas, frame: BodyFrame, generator: np.random.Generator) -> np.ndarray:
    """The diaphragm pulls down in a band below the domes, each side with its own strength; the ribs move outwards."""
    down_mm, left_mm = canvas.centers_mm()[0], canvas.centers_mm()[-1]
    aside_mm = left_mm - frame.midline_mm
    radial, radius = _outward(canvas, frame)
    dome_mm = np.where(aside_mm < 0, frame.right_dome_mm, frame.left_dome_mm)
    side_strength = np.where(aside_mm < 0, generator.uniform(0.7, 1.3), generator.uniform(0.7, 1.3))
    beside_spine = np.abs(aside_mm) > 25
    if canvas.dimension == 3:
        beside_spine = beside_spine | (canvas.centers_mm()[1] < frame.middle_depth_mm)
    band = np.exp(-(((down_mm - dome_mm - 12) / 20) ** 2)) * (radius < 0.85) * beside_spine
    ribs = (radius > 0.6) & (down_mm > frame.lung_top_mm) & (down_mm < frame.left_dome_mm + 50) & (labels != AIR)
    outwards, upwards = generator.uniform(0.05, 0.35), generator.uniform(0, 0.15)
    forces = outwards * ribs[..., None] * radial
    forces[..., 0] += 2.6 * band * side_strength - upwards * ribs
    return forces


def _gravity(labels: np.ndarray, canvas: Canvas, _frame: BodyFrame, generator: np.random.Generator) -> np.ndarray:
    """A change of posture: the weight of every tissue acts in another direction, mostly across the body's long axis."""
    direction = generator.standard_normal(canvas.dimension)
    direction[0] *= 0.3
    direction /= np.linalg.norm(direction)
    relative_density = np.array([0.0, 0.3, 1.5, 1.06, 1.0])
    return relative_density[labels][..., None] * direction


def _compression(labels: np.ndarray, canvas: Canvas, frame: BodyFrame, generator: np.random.Generator) -> np.ndarray:
    """A belt or paddle presses on one patch of the surface, from the right, the left or (3D) the front."""
    body = (labels != AIR).astype(np.float32)
    inwards = np.stack(np.gradient(gaussian_filter(body, SKIN_MM / canvas.spacing_mm, mode="nearest")), axis=-1)
    inwards *= body[..., None]  # the air around the body is too soft to press on
    angle = generator.choice([0.0, np.pi] if canvas.dimension == 2 else [0.0, 0.5 * np.pi, np.pi])
    angle += generator.uniform(-0.4, 0.4) if canvas.dimension == 3 else 0.0
    middle_mm = [generator.uniform(frame.right_dome_mm - 40, frame.left_dome_mm + 70)]
    if canvas.dimension == 3:
        middle_mm.append(frame.middle_depth_mm - frame.half_depth_mm * np.sin(angle))
    middle_mm.append(frame.midline_mm + frame.half_width_mm * np.cos(angle))
    width_mm = generator.uniform(45, 80)
    distance = sum(((axis_mm - mm) / width_mm) ** 2 for axis_mm, mm in zip(canvas.centers_mm(), middle_mm, strict=True))
    return inwards * np.exp(-0.5 * distance)[..., None]


LOADS: dict[str, Callable[[np.ndarray, Canvas, BodyFrame, np.random.Generator], np.ndarray]] = {
    "breathing": _breathing,
    "gravity": _gravity,
    "compression": _compression,
}


def _outward(canvas: Canvas, frame: BodyFrame) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors away from the long axis of the body, and the distance from it as a share of the body's size."""
    centers_mm = canvas.centers_mm()
    across = (centers_mm[-1] - frame.midline_mm) / frame.half_width_mm
    if canvas.dimension == 2:
        across = np.broadcast_to(across, canvas.shape)
        return np.stack([np.zeros(canvas.shape), np.sign(across)], axis=-1), np.abs(across)
    deep = (centers_mm[1] - frame.middle_depth_mm) / frame.half_depth_mm
    across, deep = np.broadcast_arrays(across + np.zeros(canvas.shape), deep)
    radius = np.hypot(across, deep)
    safe = np.maximum(radius, 1e-6)
    return np.stack([np.zeros(canvas.shape), deep / safe, across / safe], axis=-1), radius


def _springs(labels: np.ndarray, canvas: Canvas, frame: BodyFrame, generator: np.random.Generator) -> np.ndarray:
    """The spine is held; in 3D the patient also lies on the back, on something softer."""
    stiffness = generator.uniform(*SPINE_SPRING_KPA_PER_MM2)
    centers_mm = canvas.centers_mm()
    spine = (labels == BONE) & (np.abs(centers_mm[-1] - frame.midline_mm) < 20)
    if canvas.dimension == 2:
        return stiffness * spine
    spine &= np.abs(centers_mm[1] - frame.spine_depth_mm) < 30
    lying = (labels != AIR) & (centers_mm[1] > frame.middle_depth_mm + 0.85 * frame.half_depth_mm)
    return stiffness * np.maximum(spine, TABLE_SHARE * lying)
