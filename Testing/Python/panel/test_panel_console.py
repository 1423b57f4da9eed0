"""The logic called from Python, as in Slicer's console: nodes and plain values in, results out, no panel needed."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
import slicer
import slicer.util
import vtk
from host.scene_builders import add_bend, add_linear_transform, add_markups, add_volume, node_ids, put_under
from panel_case import MODULE, NAME, add_pair, add_phantom
from synthetic_pairs import CENTER_RAS_MM, rigid_ras, true_displacement_ras_mm, volume_pair
from vtk.util.numpy_support import numpy_to_vtk

from TissueElasticRegistrationLib.core.data.progress import finish
from TissueElasticRegistrationLib.core.data.tissues import find_tissue
from TissueElasticRegistrationLib.core.estimation.criteria.hold_out import HoldOut
from TissueElasticRegistrationLib.core.estimation.grid_search import estimate_by_grid
from TissueElasticRegistrationLib.core.registration.registrar import Registrar
from TissueElasticRegistrationLib.scene.nodes import InputNodes
from TissueElasticRegistrationLib.scene.options import RegistrationOptions
from TissueElasticRegistrationLib.scene.read import read_pair


@pytest.fixture
def logic(fresh_host):
    """The module is loaded and nobody has opened it."""
    fresh_host.load_module(MODULE)
    fresh_host.leave_module()
    return slicer.util.getModuleLogic(NAME)


@pytest.fixture
def volumes(fresh_host):
    """A pair of oblique volumes with landmarks."""
    offsets_mm = np.array([[9, 2, -5], [-13, 6, 11], [4, -15, 3], [1, 12, 16], [-6, -9, -14]], float)
    fixed_ras_mm = CENTER_RAS_MM + offsets_mm
    nodes = add_pair(slicer.mrmlScene, volume_pair())
    moving_ras_mm = fixed_ras_mm + true_displacement_ras_mm(fixed_ras_mm)
    return nodes._replace(
        fixed_landmarks=add_markups(slicer.mrmlScene, "fixed points", fixed_ras_mm),
        moving_landmarks=add_markups(slicer.mrmlScene, "moving points", moving_ras_mm),
    )


def test_a_loop_over_patients(logic):
    for number in (1, 2):
        nodes = add_phantom(slicer.mrmlScene, f"patient {number} ", seed=number)
        estimated = logic.estimate(InputNodes(*nodes[:4]), points=3)
        done = logic.register(nodes, estimated.values())
        errors = done.result.landmark_errors
        assert errors.after_mean < 0.4 * errors.before_mean
        judged = logic.evaluate(nodes, done.nodes.transform, estimated.values())
        assert judged.landmark_errors.after_mean == pytest.approx(errors.after_mean, abs=0.05)
        assert nodes.moving.GetParentTransformNode() is done.nodes.transform
        assert done.nodes.warped_volume.GetName() == f"patient {number} moving warped"
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 2


def a_spline(scene) -> slicer.vtkMRMLBSplineTransformNode:
    """A cubic B-spline that an artist might have drawn: control points 25 mm apart, pushed by up to 6 mm."""
    coefficients = vtk.vtkImageData()
    coefficients.SetDimensions(9, 9, 9)
    coefficients.SetSpacing(25, 25, 25)
    coefficients.SetOrigin(*(CENTER_RAS_MM - 100))
    pushes_mm = np.random.default_rng(4).uniform(-6, 6, (9**3, 3))
    coefficients.GetPointData().SetScalars(numpy_to_vtk(pushes_mm, deep=True))
    spline = slicer.vtkOrientedBSplineTransform()
    spline.SetCoefficientData(coefficients)
    node = scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "spline")
    node.SetAndObserveTransformFromParent(spline)
    return node


def a_turned_bend(scene) -> slicer.vtkMRMLTransformNode:
    """A bent transform under a turn of ten degrees."""
    bend = add_bend(scene)
    put_under(bend, add_linear_transform(scene, "turn", rigid_ras((2, -3, 1), (0, 0, 10))))
    return bend


def moving_points(node: slicer.vtkMRMLTransformNode, fixed_ras_mm: np.ndarray) -> np.ndarray:
    """Where points (N, 3) of the fixed image lie in the moving one, by VTK alone."""
    from_world = vtk.vtkGeneralTransform()
    node.GetTransformFromWorld(from_world)
    return np.array([from_world.TransformPoint(point) for point in fixed_ras_mm.tolist()])


def overlap(label: int, node: slicer.vtkMRMLTransformNode | None) -> float:
    """Dice of a tissue, counted voxel by voxel at the centers of the fixed voxels."""
    pair = volume_pair()
    points = pair.fixed.geometry.voxel_centers_ras_mm().reshape(-1, 3)
    if node is not None:
        points = moving_points(node, points)
    to_ijk = np.linalg.inv(pair.moving.geometry.ijk_to_ras)
    kji = np.round(points @ to_ijk[:3, :3].T + to_ijk[:3, 3]).astype(int)[:, ::-1]
    labels_kji = pair.moving_segmentation.labels_kji
    inside = np.all((kji >= 0) & (kji < labels_kji.shape), axis=1)
    warped = np.zeros(len(points), bool)
    warped[inside] = labels_kji[tuple(kji[inside].T)] == label
    fixed = pair.fixed_segmentation.labels_kji.ravel() == label
    return 2 * (fixed & warped).sum() / (fixed.sum() + warped.sum())


@pytest.mark.parametrize("make", [a_spline, a_turned_bend])
def test_any_transform_can_be_evaluated(logic, volumes, make):
    transform = make(slicer.mrmlScene)
    nodes = node_ids(slicer.mrmlScene)
    result = logic.evaluate(volumes, transform, None)
    for row in result.tissues:
        if row.tissue.name in ("soft", "lung", "bone"):
            label = {"soft": 1, "lung": 2, "bone": 3}[row.tissue.name]
            assert row.dice_before == pytest.approx(overlap(label, None), abs=0.005)
            assert row.dice_after == pytest.approx(overlap(label, transform), abs=0.01)
    points = [np.array([node.GetNthControlPointPositionWorld(n) for n in range(5)]) for node in volumes[4:]]
    errors_mm = np.linalg.norm(moving_points(transform, points[0]) - points[1], axis=1)
    assert result.landmark_errors.after_mean == pytest.approx(errors_mm.mean(), abs=0.1)
    assert result.landmark_errors.after_max == pytest.approx(errors_mm.max(), abs=0.1)
    assert node_ids(slicer.mrmlScene) == nodes
    assert volumes.moving.GetParentTransformNode() is None


def test_it_does_not_matter_whether_the_moving_volume_is_under_the_transform(logic, volumes):
    transform = a_spline(slicer.mrmlScene)
    apart = logic.evaluate(volumes, transform, None)
    put_under(volumes.moving, transform)
    under = logic.evaluate(volumes, transform, None)
    assert [row.dice_after for row in under.tissues] == pytest.approx(
        [row.dice_after for row in apart.tissues], nan_ok=True
    )
    assert under.similarity_after == pytest.approx(apart.similarity_after)


def test_progress_is_told(logic):
    nodes, told = add_phantom(slicer.mrmlScene), []
    logic.register(InputNodes(*nodes[:3]), progress=told.append)
    fractions = [progress.fraction for progress in told]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1] > 0.9) == (0.0, True)
    assert all(progress.text for progress in told)


def test_parameters_are_given_by_name_or_id(logic):
    nodes = add_phantom(slicer.mrmlScene)
    by_name = logic.register(InputNodes(*nodes[:3]), {"Soft": (1.0, 100.0)}).result
    by_id = logic.register(InputNodes(*nodes[:3]), {"id_soft": (1.0, 100.0)}).result
    plain = logic.register(InputNodes(*nodes[:3])).result
    np.testing.assert_array_equal(by_name.displacement_ras_mm, by_id.displacement_ras_mm)
    assert np.abs(by_name.displacement_ras_mm - plain.displacement_ras_mm).max() > 1


def test_locked_tissues_are_not_estimated(logic):
    nodes = add_phantom(slicer.mrmlScene)
    values = logic.estimate(
        InputNodes(*nodes[:4]), {"liver": (3.0, 4.0)}, locked=["id_liver", "Bone"], points=3
    ).values()
    assert values.keys() == {"id_lung", "id_soft"}


def test_an_estimate_is_that_of_the_library_whoever_asks(logic):
    nodes = add_phantom(slicer.mrmlScene)
    found = logic.estimate(InputNodes(*nodes[:4]), points=2, hold_out=["liver"])
    registrar = Registrar(read_pair(*nodes[:4]), threads=1)
    finish(registrar.prepare())
    liver = find_tissue(registrar.tissues, "liver")
    wanted = finish(
        estimate_by_grid(registrar, registrar.table_parameters(), points=2, hold_out=HoldOut.of([liver.label]))
    )
    assert found.values() == wanted.values() and "id_liver" not in found.values()
    assert [tissue.name for tissue in found.held_out] == [liver.name]
    np.testing.assert_array_equal(found.landscape.scores, wanted.landscape.scores)


class TestErrors:
    """One sentence that names the node, and nothing is written."""

    @pytest.fixture
    def nodes(self, logic):
        return add_phantom(slicer.mrmlScene)

    @pytest.fixture(autouse=True)
    def nothing_is_written(self, nodes):
        before = node_ids(slicer.mrmlScene)
        yield
        assert node_ids(slicer.mrmlScene) == before
        assert nodes.moving.GetParentTransformNode() is None

    @pytest.fixture
    def refused(self):
        """What a call says that raises ValueError."""

        def sentence(call, *arguments, **options) -> str:
            with pytest.raises(ValueError) as error:
                call(*arguments, **options)
            text = str(error.value)
            assert text.endswith(".") and "\n" not in text
            return text

        return sentence

    def test_the_same_volume_twice(self, logic, nodes, refused):
        assert "'fixed'" in refused(logic.register, InputNodes(nodes.fixed, nodes.fixed, nodes.segmentation))

    def test_no_volume(self, logic, nodes, refused):
        assert "moving volume" in refused(logic.register, InputNodes(nodes.fixed, None, nodes.segmentation))

    def test_a_segmentation_as_volume(self, logic, nodes, refused):
        assert "'fixed tissues'" in refused(
            logic.register, InputNodes(nodes.segmentation, nodes.moving, nodes.segmentation)
        )

    def test_a_volume_that_was_deleted(self, logic, nodes, refused):
        deleted = add_volume(slicer.mrmlScene, "other moving", np.zeros((1, 9, 9)))
        slicer.mrmlScene.RemoveNode(deleted)
        assert "'other moving'" in refused(logic.register, InputNodes(nodes.fixed, deleted, nodes.segmentation))

    def test_an_unknown_tissue(self, logic, nodes, refused):
        sentence = refused(logic.register, InputNodes(*nodes[:3]), {"spleen": (1.0, 1.0)})
        assert "'spleen'" in sentence and "'liver'" in sentence

    def test_a_weight_out_of_range(self, logic, nodes, refused):
        assert "'liver'" in refused(logic.register, InputNodes(*nodes[:3]), {"liver": (1.0, 1e6)})

    def test_an_unknown_alignment(self, logic, nodes, refused):
        assert "'affine'" in refused(logic.register, InputNodes(*nodes[:3]), initial="affine")

    def test_a_negative_voxel_size(self, logic, nodes, refused):
        assert "-2" in refused(logic.register, InputNodes(*nodes[:3]), finest_mm=-2)

    def test_an_unknown_device(self, logic, nodes, refused):
        assert "'tpu'" in refused(logic.register, InputNodes(*nodes[:3]), device="tpu")

    def test_an_estimate_without_moving_segmentation(self, logic, nodes, refused):
        assert "moving" in refused(logic.estimate, InputNodes(*nodes[:3]), None)

    def test_locking_an_unknown_tissue(self, logic, nodes, refused):
        assert "'spleen'" in refused(logic.estimate, InputNodes(*nodes[:4]), locked=["spleen"])

    @pytest.mark.parametrize("key", ["Left", "other"])
    @pytest.mark.parametrize("door", ["values", "locked", "hold_out"])
    def test_a_key_that_fits_two_segments(self, logic, nodes, refused, key, door):
        """A name that two segments have, and a name that is the ID of another segment."""
        segmentation = nodes.segmentation.GetSegmentation()
        first, second, third = (segmentation.GetNthSegment(number) for number in range(3))
        first.SetName("Left")
        second.SetName("Left")
        third.SetName(segmentation.GetNthSegmentID(0))
        key = {"Left": "Left", "other": third.GetName()}[key]
        given = {"values": {key: (2.0, 2.0)}} if door == "values" else {door: [key]}
        assert f"'{key}' fits several tissues" in refused(logic.estimate, InputNodes(*nodes[:4]), **given)

    def test_an_estimate_with_everything_locked(self, logic, nodes, refused):
        ids = nodes.segmentation.GetSegmentation().GetSegmentIDs()
        assert "locked" in refused(logic.estimate, InputNodes(*nodes[:4]), locked=ids)

    def test_a_volume_as_transform(self, logic, nodes, refused):
        assert "'moving'" in refused(logic.evaluate, InputNodes(*nodes[:3]), nodes.moving)

    def test_landmarks_without_counterpart(self, logic, nodes, refused):
        assert "'fixed points'" in refused(
            logic.register, InputNodes(*nodes[:3], fixed_landmarks=nodes.fixed_landmarks)
        )


def test_examples_in_the_docstring_of_the_logic_run(logic):
    nodes = add_phantom(slicer.mrmlScene)
    names = {
        **{"fixed": nodes.fixed, "moving": nodes.moving, "segmentation": nodes.segmentation, "slicer": slicer},
        "labels": nodes.moving_segmentation,
    }
    (example,) = doctest.DocTestFinder(recurse=False).find(type(logic), "logic", globs=names)
    assert len(example.examples) > 8
    assert doctest.DocTestRunner().run(example).failed == 0


def test_options_are_given_as_an_object_or_one_by_one(logic):
    nodes = add_phantom(slicer.mrmlScene)
    one_by_one = logic.register(InputNodes(*nodes[:3]), initial="none", finest_mm=12.0).result
    together = logic.register(InputNodes(*nodes[:3]), options=RegistrationOptions("none", finest_mm=12.0)).result
    np.testing.assert_array_equal(one_by_one.displacement_ras_mm, together.displacement_ras_mm)
    with pytest.raises(TypeError, match="finestMm"):
        logic.register(InputNodes(*nodes[:3]), finestMm=12.0)


def test_the_self_test_of_the_module_passes(logic):
    slicer.modules.TissueElasticRegistrationInstance.runTest()
    assert slicer.util.getNode("moving to fixed")
