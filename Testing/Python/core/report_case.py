"""What the tests of the report and of result.json share: a small oblique pair, a synthetic result, a page reader."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np

from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.core.data.images import Image, ImagePair, Segmentation
from TissueElasticRegistrationLib.core.data.result import (
    LandmarkErrors,
    ObjectiveValues,
    RegistrationResult,
    TissueResult,
)
from TissueElasticRegistrationLib.core.data.tissues import Lame, Tissue

SHAPE = (10, 24, 30)
EVIL = "<script>alert(\"x\")</script> & 'rib'"
FACTS = {
    "model": {"name": "direct", "version": "1.0", "sha256": None},
    "solver": "direct",
    "device": "cpu",
    "seed": 7,
    "versions": {"torch": "2.13.0"},
    "peak_memory_mb": 512.25,
    "estimate": None,
    "seconds": {"write": 0.5},
}


def geometry_of_shape(shape=SHAPE) -> Geometry:
    """Rows along R with a tilt of some degrees, anisotropic, i to the patient's left."""
    axes = np.linalg.qr(np.array([[-1.0, 0.1, 0.05], [0.1, -1.0, 0.08], [0.05, 0.08, 1.0]]))[0]
    axes *= np.sign(np.diag(axes)) * [-1, -1, 1]
    matrix = np.eye(4)
    matrix[:3, :3] = axes * [1.5, 2.0, 5.0]
    matrix[:3, 3] = [20.0, 30.0, -40.0]
    return Geometry(shape, matrix)


def a_pair(shape=SHAPE) -> ImagePair:
    geometry = geometry_of_shape(shape)
    random = np.random.default_rng(0)
    fixed = random.integers(0, 200, shape).astype(np.int16)
    labels = np.zeros(shape, np.uint8)
    labels[-8:, 3:15, 4:20] = 1
    labels[-6:, 5:9, 6:12] = 4
    segmentation = Segmentation(labels, geometry, (Tissue(1, EVIL), Tissue(4, "bone", "Segment_2")))
    moving = fixed[..., ::-1].copy()
    return ImagePair(
        Image(fixed, geometry, "fixed <b>.nii.gz"), Image(moving, geometry, "moving & co"), segmentation, segmentation
    )


def a_result(pair: ImagePair, **changes) -> RegistrationResult:
    geometry = pair.fixed.geometry
    shape = geometry.shape_kji
    tissues = tuple(
        TissueResult(tissue, Lame(1.0, 2.0), 1.7, 0.0123456789, 0.05, 0.0, 0.8, 0.9, 5.0, 3.0, 2.0, 1.0)
        for tissue in pair.fixed_segmentation.tissues
    )
    displacement = geometry.displacement_ras_mm(np.random.default_rng(1).normal(0, 0.5, (3, *shape)))
    plain = RegistrationResult(
        displacement_ras_mm=displacement,
        geometry=geometry,
        jacobian_kji=np.full(shape, 1.1, np.float32),
        warped=replace(pair.moving, name="warped"),
        valid_kji=np.ones(shape, bool),
        warped_segmentation=pair.moving_segmentation,
        initial="none",
        tissues=tissues,
        similarity_before=0.3,
        similarity_after=0.6,
        negative_jacobian_percent=0.0,
        landmark_errors=LandmarkErrors(3.4, 1.1, 6.0, 2.5, 20),
        objective_values=ObjectiveValues(-0.3, -0.55, 0.3, 0.6, 0.05, 0.97, 120),
        seconds={"prepare": 1.23456, "register": 2.0},
    )
    return replace(plain, **changes)


class Page(HTMLParser):
    """Checks nesting, and collects text, tags and everything a browser would have to load."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.text, self.loads = [], [], "", []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.loads += [value for name, value in attributes if name in ("src", "href", "srcset", "data", "action")]
        if tag not in ("meta", "img", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
