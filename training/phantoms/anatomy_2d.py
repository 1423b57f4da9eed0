"""A coronal slice through thorax and upper abdomen: body, fat, lungs with vessels, liver, bowel, spine and ribs."""

from __future__ import annotations

import numpy as np

from .subject import AIR, AIR_HU, BONE, LIVER, LUNG, SOFT, Anatomy, BodyFrame, Canvas, smooth_noise

SIDES = (-1, 1)  # patient right, patient left


def draw_anatomy_2d(
    canvas: Canvas,
    shape_generator: np.random.Generator,
    texture_generator: np.random.Generator,
    field_of_view_mm: tuple[float, float],
) -> Anatomy:
    """Draw one subject.

    Shapes come from their own generator, so they are the same at every spacing of the canvas.

    Args:
        canvas: Where to draw.
        shape_generator: Draws the shapes.
        texture_generator: Draws the textures.
        field_of_view_mm: Size of the slice along down and left.
    """
    frame = _draw_frame(shape_generator, field_of_view_mm)
    down_mm, left_mm = canvas.centers_mm()
    body_width_mm = half_width_mm(down_mm, frame)
    body = (np.abs(left_mm - frame.midline_mm) < body_width_mm) & (down_mm > frame.shoulder_mm)
    labels = np.where(body, SOFT, AIR).astype(np.int8)
    hu = np.where(body, shape_generator.uniform(20, 60), AIR_HU).astype(np.float32)

    fat_mm = shape_generator.uniform(10, 22)
    inner = (np.abs(left_mm - frame.midline_mm) < body_width_mm - fat_mm) & (down_mm > frame.shoulder_mm + 12)
    fat = body & ~inner
    hu[fat] = shape_generator.uniform(-110, -80)

    lungs = _lungs(down_mm, left_mm, frame, shape_generator)
    labels[lungs] = LUNG
    hu[lungs] = shape_generator.uniform(-870, -780)
    hu[lungs] += 30 * smooth_noise(texture_generator, canvas, 12)[lungs]
    _draw_vessels(hu, lungs, down_mm, left_mm, frame, shape_generator)

    liver = _liver(down_mm, left_mm, frame, shape_generator) & (labels == SOFT)
    liver &= np.abs(left_mm - frame.midline_mm) < body_width_mm - 18
    labels[liver] = LIVER
    hu[liver] = shape_generator.uniform(95, 140)
    hu[liver] += 12 * smooth_noise(texture_generator, canvas, 8)[liver]

    soft = labels == SOFT
    hu[soft] += 22 * smooth_noise(texture_generator, canvas, 10)[soft]
    _draw_bowel(hu, soft & ~fat, down_mm, left_mm, frame, shape_generator, field_of_view_mm[0])
    _draw_spine(labels, hu, down_mm, left_mm, frame, shape_generator)
    _draw_ribs(labels, hu, body, down_mm, left_mm, frame, shape_generator)
    return Anatomy(labels, hu, frame)


def half_width_mm(down_mm: np.ndarray, frame: BodyFrame) -> np.ndarray:
    """Half the width of the body at some height: rounded shoulders, a slight waist.

    Args:
        down_mm: Height, from the upper edge.
        frame: Of the subject.
    """
    below_mm = down_mm - frame.shoulder_mm
    rounding = np.sqrt(np.clip(1 - (1 - np.clip(below_mm / 90, 0, 1)) ** 2, 0, 1))
    return frame.half_width_mm * (0.35 + 0.65 * rounding) * (1 - 0.06 * np.sin(below_mm / 60))


def _draw_frame(generator: np.random.Generator, field_of_view_mm: tuple[float, float]) -> BodyFrame:
    shoulder_mm = generator.uniform(15, 40)
    right_dome_mm = generator.uniform(215, 250)
    return BodyFrame(
        midline_mm=field_of_view_mm[1] / 2 + generator.uniform(-8, 8),
        half_width_mm=generator.uniform(140, 172),
        shoulder_mm=shoulder_mm,
        lung_top_mm=shoulder_mm + generator.uniform(30, 45),
        right_dome_mm=right_dome_mm,
        left_dome_mm=right_dome_mm + generator.uniform(5, 22),
    )


def _lungs(down_mm: np.ndarray, left_mm: np.ndarray, frame: BodyFrame, generator: np.random.Generator) -> np.ndarray:
    lungs = np.zeros(np.broadcast_shapes(down_mm.shape, left_mm.shape), bool)
    for side, dome_mm in zip(SIDES, (frame.right_dome_mm, frame.left_dome_mm), strict=True):
        lung_width_mm = frame.half_width_mm * generator.uniform(0.33, 0.37)
        middle_mm = frame.midline_mm + side * frame.half_width_mm * generator.uniform(0.48, 0.52)
        across = (left_mm - middle_mm) / lung_width_mm
        arch = 1 - np.sqrt(1 - np.minimum(np.abs(across), 1) ** 2.2)
        top_mm = frame.lung_top_mm + (dome_mm - frame.lung_top_mm) * 0.5 * arch
        base_mm = (
            dome_mm + 34 * generator.uniform(0.7, 1.2) * across**2 + 8 * np.sin(3 * across + generator.uniform(0, 6))
        )
        lungs |= (np.abs(across) < 1) & (down_mm > top_mm) & (down_mm < base_mm)
    heart_down_mm = frame.left_dome_mm - 45 + generator.uniform(-10, 10)
    heart_left_mm = frame.midline_mm + 0.22 * frame.half_width_mm
    heart = ((left_mm - heart_left_mm) / (0.25 * frame.half_width_mm)) ** 2 + ((down_mm - heart_down_mm) / 48) ** 2 < 1
    return lungs & ~heart


def _draw_vessels(
    hu: np.ndarray,
    lungs: np.ndarray,
    down_mm: np.ndarray,
    left_mm: np.ndarray,
    frame: BodyFrame,
    generator: np.random.Generator,
) -> None:
    """Trees of straight tubes from each hilum: every branch splits in two or three thinner ones, four generations."""
    for side in SIDES:
        hilum_mm = np.array(
            [
                frame.lung_top_mm + (frame.right_dome_mm - frame.lung_top_mm) * generator.uniform(0.45, 0.6),
                frame.midline_mm + 0.2 * side * frame.half_width_mm,
            ]
        )
        waiting = [(hilum_mm, generator.uniform(0, 2 * np.pi), 5.5, 3) for _ in range(6)]
        while waiting:
            start_mm, angle, radius_mm, splits = waiting.pop()
            branch_mm = generator.uniform(22, 48) * np.array([np.sin(angle), np.cos(angle)])
            tube = _tube(down_mm, left_mm, start_mm, branch_mm, radius_mm) & lungs
            hu[tube] = np.maximum(hu[tube], -250 + 60 * radius_mm)
            if splits:
                for _ in range(generator.integers(2, 4)):
                    turn = generator.uniform(-0.8, 0.8)
                    waiting.append((start_mm + branch_mm, angle + turn, 0.72 * radius_mm, splits - 1))


def _tube(
    down_mm: np.ndarray, left_mm: np.ndarray, start_mm: np.ndarray, branch_mm: np.ndarray, radius_mm: float
) -> np.ndarray:
    from_start = (down_mm - start_mm[0], left_mm - start_mm[1])
    along = np.clip((from_start[0] * branch_mm[0] + from_start[1] * branch_mm[1]) / (branch_mm @ branch_mm), 0, 1)
    return np.hypot(from_start[0] - along * branch_mm[0], from_start[1] - along * branch_mm[1]) < radius_mm


def _liver(down_mm: np.ndarray, left_mm: np.ndarray, frame: BodyFrame, generator: np.random.Generator) -> np.ndarray:
    middle_left_mm = frame.midline_mm - frame.half_width_mm * generator.uniform(0.30, 0.42)
    middle_down_mm = frame.right_dome_mm + generator.uniform(45, 60)
    across = (left_mm - middle_left_mm) / (frame.half_width_mm * generator.uniform(0.5, 0.62))
    along = (down_mm - middle_down_mm) / generator.uniform(52, 68)
    lower_left = (left_mm > frame.midline_mm + 0.2 * frame.half_width_mm) & (down_mm > middle_down_mm)
    return (across**2 + along**2 < 1) & ~lower_left


def _draw_bowel(
    hu: np.ndarray,
    where: np.ndarray,
    down_mm: np.ndarray,
    left_mm: np.ndarray,
    frame: BodyFrame,
    generator: np.random.Generator,
    lowest_mm: float,
) -> None:
    """Stomach and bowel as discs of other intensity: they are soft tissue, and only help to see the abdomen move."""
    for _ in range(generator.integers(4, 9)):
        middle_down_mm = generator.uniform(frame.left_dome_mm + 40, lowest_mm)
        middle_left_mm = frame.midline_mm + generator.uniform(-0.7, 0.8) * frame.half_width_mm
        radius_mm, squeeze = generator.uniform(10, 26), generator.uniform(0.7, 1.4)
        disc = np.hypot(left_mm - middle_left_mm, (down_mm - middle_down_mm) * squeeze) < radius_mm
        hu[disc & where] += generator.uniform(-160, 80)


def _draw_spine(
    labels: np.ndarray,
    hu: np.ndarray,
    down_mm: np.ndarray,
    left_mm: np.ndarray,
    frame: BodyFrame,
    generator: np.random.Generator,
) -> None:
    half_spine_mm, vertebra_mm = generator.uniform(13, 18), generator.uniform(23, 28)
    phase_mm = (down_mm + generator.uniform(0, 30)) % vertebra_mm
    bend_mm = generator.uniform(-6, 6) * np.sin((down_mm - frame.shoulder_mm) / 120)
    waisted_mm = half_spine_mm * (1 - 0.1 * np.sin(np.pi * phase_mm / vertebra_mm))
    spine = np.abs(left_mm - frame.midline_mm - bend_mm) < waisted_mm
    spine = spine & (down_mm > frame.shoulder_mm + 8) & (phase_mm > 4.5)
    labels[spine] = BONE
    hu[spine] = generator.uniform(350, 550)


def _draw_ribs(
    labels: np.ndarray,
    hu: np.ndarray,
    body: np.ndarray,
    down_mm: np.ndarray,
    left_mm: np.ndarray,
    frame: BodyFrame,
    generator: np.random.Generator,
) -> None:
    """Cross sections of the ribs along the lateral walls."""
    pitch_mm = generator.uniform(25, 32)
    for side in SIDES:
        for level_mm in np.arange(frame.lung_top_mm + 10, frame.left_dome_mm + 70, pitch_mm):
            middle_down_mm = level_mm + generator.uniform(-3, 3)
            wall_mm = half_width_mm(middle_down_mm, frame) - generator.uniform(17, 22)
            tilt = side * generator.uniform(0.1, 0.6)
            across_mm = left_mm - frame.midline_mm - side * wall_mm
            along_mm = down_mm - middle_down_mm
            first = (across_mm * np.cos(tilt) + along_mm * np.sin(tilt)) / generator.uniform(6, 8.5)
            second = (along_mm * np.cos(tilt) - across_mm * np.sin(tilt)) / generator.uniform(7, 11)
            rib = (first**2 + second**2 < 1) & body
            labels[rib] = BONE
            hu[rib] = generator.uniform(450, 800)
