"""Thorax and upper abdomen in 3D: body, fat, lungs with vessels, heart, liver, bowel, spine, curved ribs, sternum.

Arrays have axes down, back, left (the body frame). No axis is an axis of symmetry: the liver is on the right, the heart
on the left, the right lung is larger, the spine is at the back, and the shoulders are narrower than the abdomen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .anatomy_2d import SIDES, half_width_mm
from .subject import AIR, AIR_HU, BONE, LIVER, LUNG, SOFT, Anatomy, BodyFrame, Canvas, smooth_noise

LUNG_RADIUS = 0.80  # as shares of the way from the long axis of the body to the skin
RIB_RADIUS = 0.885
LIVER_RADIUS = 0.84


@dataclass(frozen=True, eq=False)
class BodyPlaces:
    """Coordinates of every cell of a canvas relative to the body; they broadcast to the shape of the canvas.

    Attributes:
        canvas: The canvas.
        down_mm: From the upper face.
        aside_mm: From the midline, positive to the left.
        back_mm: From the front face.
        deep: From the middle of the body, -1 at the front and 1 at the back.
        radius: 0 on the long axis of the body and 1 at the skin.
        width_mm: Half the width of the body at that height.
    """

    canvas: Canvas
    down_mm: np.ndarray
    aside_mm: np.ndarray
    back_mm: np.ndarray
    deep: np.ndarray
    radius: np.ndarray
    width_mm: np.ndarray


def draw_anatomy_3d(
    canvas: Canvas,
    shape_generator: np.random.Generator,
    texture_generator: np.random.Generator,
    field_of_view_mm: tuple[float, float, float],
) -> Anatomy:
    """Draw one subject.

    Shapes come from their own generator, so they are the same at every spacing of the canvas.

    Args:
        canvas: Where to draw.
        shape_generator: Draws the shapes.
        texture_generator: Draws the textures.
        field_of_view_mm: Size of the volume along down, back and left.
    """
    frame = _draw_frame(shape_generator, field_of_view_mm)
    places = _places(canvas, frame)
    body = (places.radius < 1) & (places.down_mm > frame.shoulder_mm)
    labels = np.where(body, SOFT, AIR).astype(np.int8)
    hu = np.where(body, shape_generator.uniform(20, 60), AIR_HU).astype(np.float32)

    fat = body & _fat(places, frame, shape_generator)
    hu[fat] = shape_generator.uniform(-110, -80)

    lungs = _lungs(places, frame, shape_generator) & body
    labels[lungs] = LUNG
    hu[lungs] = shape_generator.uniform(-870, -780)
    hu[lungs] += 30 * smooth_noise(texture_generator, canvas, 12)[lungs]
    _draw_vessels(hu, lungs, canvas, frame, shape_generator)

    liver = _liver(places, frame, shape_generator) & (labels == SOFT)
    labels[liver] = LIVER
    hu[liver] = shape_generator.uniform(95, 140)
    hu[liver] += 12 * smooth_noise(texture_generator, canvas, 8)[liver]

    soft = labels == SOFT
    hu[soft] += 22 * smooth_noise(texture_generator, canvas, 10)[soft]
    _draw_bowel(hu, soft & ~fat, canvas, frame, shape_generator, field_of_view_mm[0])
    for bone in (_spine(places, frame, shape_generator), _sternum(places, frame, shape_generator)):
        labels[bone & body] = BONE
        hu[bone & body] = shape_generator.uniform(350, 550)
    _draw_ribs(labels, hu, body, places, frame, shape_generator)
    return Anatomy(labels, hu, frame)


def _draw_frame(generator: np.random.Generator, field_of_view_mm: tuple[float, float, float]) -> BodyFrame:
    shoulder_mm = generator.uniform(15, 40)
    right_dome_mm = generator.uniform(215, 250)
    middle_depth_mm = field_of_view_mm[1] / 2 + generator.uniform(-5, 5)
    half_depth_mm = generator.uniform(88, 106)
    return BodyFrame(
        midline_mm=field_of_view_mm[2] / 2 + generator.uniform(-8, 8),
        half_width_mm=generator.uniform(140, 172),
        shoulder_mm=shoulder_mm,
        lung_top_mm=shoulder_mm + generator.uniform(30, 45),
        right_dome_mm=right_dome_mm,
        left_dome_mm=right_dome_mm + generator.uniform(5, 22),
        middle_depth_mm=middle_depth_mm,
        half_depth_mm=half_depth_mm,
        spine_depth_mm=middle_depth_mm + 0.6 * half_depth_mm,
    )


def _places(canvas: Canvas, frame: BodyFrame) -> BodyPlaces:
    """The cross section of the body is a rounded ellipse, flatter at the back than at the front."""
    down_mm, back_mm, left_mm = (axis.astype(np.float32) for axis in canvas.centers_mm())
    aside_mm = left_mm - np.float32(frame.midline_mm)
    width_mm = half_width_mm(down_mm, frame)
    depth_mm = frame.half_depth_mm * (0.4 + 0.6 * width_mm / frame.half_width_mm)
    deep = (back_mm - frame.middle_depth_mm) / depth_mm
    across = np.abs(aside_mm) / width_mm
    front_radius = (across**2.2 + np.abs(deep) ** 2.2) ** np.float32(1 / 2.2)
    back_radius = (across**3 + np.abs(deep) ** 3) ** np.float32(1 / 3)
    return BodyPlaces(canvas, down_mm, aside_mm, back_mm, deep, np.where(deep < 0, front_radius, back_radius), width_mm)


def _fat(places: BodyPlaces, frame: BodyFrame, generator: np.random.Generator) -> np.ndarray:
    """A layer below the skin, thicker at the belly than at the back."""
    thickness = generator.uniform(10, 20) / frame.half_width_mm
    thickness_here = thickness * (1 - 0.3 * places.deep)
    return (places.radius > 1 - thickness_here) | (places.down_mm < frame.shoulder_mm + 12)


def _lungs(places: BodyPlaces, frame: BodyFrame, generator: np.random.Generator) -> np.ndarray:
    """Cones with a rounded top on the domes of the diaphragm, which reach lower at the back; the heart is cut out."""
    lungs = np.zeros(places.canvas.shape, bool)
    for side, dome_mm in zip(SIDES, (frame.right_dome_mm, frame.left_dome_mm), strict=True):
        size = 1.0 if side < 0 else 0.93
        half_lung_mm = size * frame.half_width_mm * generator.uniform(0.34, 0.38)
        middle_mm = side * frame.half_width_mm * generator.uniform(0.49, 0.52)
        across = (places.aside_mm - middle_mm) / half_lung_mm
        deep = (places.deep - 0.05) / (size * generator.uniform(0.70, 0.76))
        footprint = np.hypot(across, deep)
        arch = 1 - np.sqrt(1 - np.minimum(footprint, 1) ** 2.2)
        top_mm = frame.lung_top_mm + (dome_mm - frame.lung_top_mm) * 0.5 * arch
        base_mm = (
            dome_mm
            + 34 * generator.uniform(0.7, 1.2) * across**2
            + generator.uniform(15, 30) * deep
            + 8 * np.sin(3 * across + generator.uniform(0, 6))
        )
        lungs |= (footprint < 1) & (places.down_mm > top_mm) & (places.down_mm < base_mm)
    lungs &= places.radius < LUNG_RADIUS
    heart_down_mm = frame.left_dome_mm - 42 + generator.uniform(-10, 10)
    heart = (
        ((places.aside_mm - 0.2 * frame.half_width_mm) / (0.3 * frame.half_width_mm)) ** 2
        + ((places.down_mm - heart_down_mm) / 50) ** 2
        + ((places.deep + 0.35) / 0.55) ** 2
    ) < 1
    return lungs & ~heart


def _draw_vessels(
    hu: np.ndarray, lungs: np.ndarray, canvas: Canvas, frame: BodyFrame, generator: np.random.Generator
) -> None:
    """Trees of straight tubes from each hilum: every branch splits in two or three thinner ones, four generations."""
    for side in SIDES:
        hilum_mm = np.array(
            [
                frame.lung_top_mm + (frame.right_dome_mm - frame.lung_top_mm) * generator.uniform(0.45, 0.6),
                frame.middle_depth_mm + 0.1 * frame.half_depth_mm,
                frame.midline_mm + 0.2 * side * frame.half_width_mm,
            ]
        )
        waiting = [(hilum_mm, _direction(generator, np.array([0, 0, 0.7 * side])), 5.5, 3) for _ in range(14)]
        while waiting:
            start_mm, direction, radius_mm, splits = waiting.pop()
            end_mm = start_mm + generator.uniform(22, 48) * direction
            _draw_tube(hu, lungs, canvas, start_mm, end_mm, radius_mm)
            if splits:
                for _ in range(generator.integers(2, 4)):
                    waiting.append((end_mm, _direction(generator, 2 * direction), 0.75 * radius_mm, splits - 1))


def _direction(generator: np.random.Generator, preferred: np.ndarray) -> np.ndarray:
    """A random unit vector, drawn towards ``preferred`` the more the longer that is."""
    direction = generator.standard_normal(3) + preferred
    return direction / np.linalg.norm(direction)


def _draw_tube(
    hu: np.ndarray, lungs: np.ndarray, canvas: Canvas, start_mm: np.ndarray, end_mm: np.ndarray, radius_mm: float
) -> None:
    box, cells_mm = _box(canvas, np.minimum(start_mm, end_mm) - radius_mm, np.maximum(start_mm, end_mm) + radius_mm)
    branch_mm = end_mm - start_mm
    from_start = [axis_mm - begin for axis_mm, begin in zip(cells_mm, start_mm, strict=True)]
    along = np.clip(
        sum(part * step for part, step in zip(from_start, branch_mm, strict=True)) / (branch_mm @ branch_mm), 0, 1
    )
    distance = sum((part - along * step) ** 2 for part, step in zip(from_start, branch_mm, strict=True))
    tube = (distance < radius_mm**2) & lungs[box]
    hu[box][tube] = np.maximum(hu[box][tube], -250 + 60 * radius_mm)


def _box(canvas: Canvas, lowest_mm: np.ndarray, highest_mm: np.ndarray) -> tuple[tuple[slice, ...], list[np.ndarray]]:
    """The part of the canvas between two corners: slices, and the cell centers in it (broadcastable)."""
    first = np.clip(np.floor(lowest_mm / canvas.spacing_mm), 0, canvas.shape).astype(int)
    last = np.clip(np.ceil(highest_mm / canvas.spacing_mm), first, canvas.shape).astype(int)
    box = tuple(slice(begin, end) for begin, end in zip(first, last, strict=True))
    centers_mm = [(np.arange(begin, end) + 0.5) * canvas.spacing_mm for begin, end in zip(first, last, strict=True)]
    return box, list(np.meshgrid(*centers_mm, indexing="ij", sparse=True))


def _liver(places: BodyPlaces, frame: BodyFrame, generator: np.random.Generator) -> np.ndarray:
    """A large right lobe below the dome and a flat left lobe at the front."""
    middle_down_mm = frame.right_dome_mm + generator.uniform(45, 60)
    middle_mm = -frame.half_width_mm * generator.uniform(0.34, 0.44)
    right_lobe = (
        ((places.aside_mm - middle_mm) / (frame.half_width_mm * generator.uniform(0.46, 0.56))) ** 2
        + ((places.down_mm - middle_down_mm) / generator.uniform(52, 68)) ** 2
        + ((places.deep - 0.05) / generator.uniform(0.72, 0.82)) ** 2
    ) < 1
    left_lobe = (
        (places.aside_mm / (frame.half_width_mm * generator.uniform(0.45, 0.6))) ** 2
        + ((places.down_mm - middle_down_mm + 12) / generator.uniform(28, 38)) ** 2
        + ((places.deep + 0.42) / generator.uniform(0.3, 0.4)) ** 2
    ) < 1
    return (right_lobe | left_lobe) & (places.radius < LIVER_RADIUS)


def _draw_bowel(
    hu: np.ndarray,
    where: np.ndarray,
    canvas: Canvas,
    frame: BodyFrame,
    generator: np.random.Generator,
    lowest_mm: float,
) -> None:
    """Stomach and bowel as balls of other intensity: they are soft tissue, and only help to see the abdomen move."""
    for _ in range(generator.integers(12, 22)):
        middle_mm = np.array(
            [
                generator.uniform(frame.left_dome_mm + 40, lowest_mm + 30),
                frame.middle_depth_mm + generator.uniform(-0.7, 0.3) * frame.half_depth_mm,
                frame.midline_mm + generator.uniform(-0.7, 0.8) * frame.half_width_mm,
            ]
        )
        radius_mm, change_hu = generator.uniform(12, 30), generator.uniform(-160, 80)
        box, cells_mm = _box(canvas, middle_mm - radius_mm, middle_mm + radius_mm)
        distance = sum((axis_mm - middle) ** 2 for axis_mm, middle in zip(cells_mm, middle_mm, strict=True))
        hu[box][(distance < radius_mm**2) & where[box]] += change_hu


def _spine(places: BodyPlaces, frame: BodyFrame, generator: np.random.Generator) -> np.ndarray:
    """Vertebral bodies with discs between them, and their processes behind; slightly bent sideways."""
    half_spine_mm, vertebra_mm = generator.uniform(16, 20), generator.uniform(24, 29)
    phase_mm = (places.down_mm + generator.uniform(0, 30)) % vertebra_mm
    bend_mm = generator.uniform(-6, 6) * np.sin((places.down_mm - frame.shoulder_mm) / 120)
    aside_mm = places.aside_mm - bend_mm
    behind_mm = places.back_mm - frame.spine_depth_mm
    bodies = (np.hypot(aside_mm, 1.15 * behind_mm) < half_spine_mm) & (phase_mm > 5.5)
    processes = (np.abs(aside_mm) < 5) & (behind_mm > 0) & (behind_mm < half_spine_mm + 12) & (phase_mm > 12)
    return (bodies | processes) & (places.down_mm > frame.shoulder_mm + 8)


def _sternum(places: BodyPlaces, frame: BodyFrame, generator: np.random.Generator) -> np.ndarray:
    height = (places.down_mm > frame.lung_top_mm + 25) & (places.down_mm < frame.right_dome_mm - 10)
    plate = np.abs(places.radius - RIB_RADIUS) * frame.half_depth_mm < generator.uniform(5, 7)
    return height & plate & (places.deep < 0) & (np.abs(places.aside_mm) < generator.uniform(14, 19))


def _draw_ribs(
    labels: np.ndarray,
    hu: np.ndarray,
    body: np.ndarray,
    places: BodyPlaces,
    frame: BodyFrame,
    generator: np.random.Generator,
) -> None:
    """Curved bars in the chest wall that fall from the spine to the front; the lower ones end further back."""
    pitch_mm = generator.uniform(26, 32)
    fall_mm = generator.uniform(35, 55)
    for side in SIDES:
        for level_mm in np.arange(frame.lung_top_mm - 15, frame.left_dome_mm + 40, pitch_mm):
            lowest_share = max(level_mm - frame.lung_top_mm, 0) / (frame.left_dome_mm + 40 - frame.lung_top_mm)
            front_end = -0.85 + 0.9 * lowest_share**2
            middle_mm = level_mm + generator.uniform(-3, 3) + fall_mm * (1 - places.deep) / 2
            along = (places.down_mm - middle_mm) / generator.uniform(6.5, 9)
            through = (places.radius - RIB_RADIUS) * places.width_mm / generator.uniform(6.5, 9)
            rib = (along**2 + through**2 < 1) & (side * places.aside_mm > 24) & (places.deep > front_end) & body
            labels[rib] = BONE
            hu[rib] = generator.uniform(450, 800)
