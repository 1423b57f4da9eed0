"""The views of the test host: real slice and 3D views of Slicer, drawn offscreen."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import slicer.util
from host import views
from host.scene_builders import add_bend, add_segmentation, add_volume, put_under, smooth_array

pytestmark = pytest.mark.rendering

SHAPE_KJI = (20, 24, 28)


@pytest.fixture
def host(fresh_host):
    if fresh_host.views is None:
        pytest.skip("there is no OpenGL")
    return fresh_host


@pytest.fixture
def volume(host):
    """Black with one white box, in no view in the middle: right, posterior and superior of it (RAS)."""
    array = np.zeros(SHAPE_KJI, np.int16)
    array[12:16, 4:9, 17:24] = 1000
    node = add_volume(host.scene, "box", array)
    return shown(host, node)


def shown(host, node):
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetAutoWindowLevel(False)
    node.GetDisplayNode().SetWindowLevelMinMax(0, 1000)
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    for name in ("Red", "Green", "Yellow"):
        host.views.view(name).node.JumpSliceByOffsetting(20, 6, 14)
    return node


def side(picture: np.ndarray) -> tuple[str, str]:
    """Where in the picture the bright part is."""
    rows, columns = np.nonzero(picture.mean(axis=2) > 128)
    height, width = picture.shape[:2]
    return "top" if rows.mean() < height / 2 else "bottom", "left" if columns.mean() < width / 2 else "right"


def requests(host) -> dict[str, int]:
    return {name: host.views.view(name).requests for name in ("Red", "Green", "Yellow")}


def renders(host) -> dict[str, int]:
    return {name: host.views.view(name).renders for name in ("Red", "Green", "Yellow", "1")}


class TestPictures:
    @pytest.mark.parametrize(
        ("name", "place"), [("Red", ("bottom", "left")), ("Green", ("top", "left")), ("Yellow", ("top", "right"))]
    )
    def test_each_slice_view_shows_the_volume_as_radiologists_see_it(self, host, volume, name, place):
        assert side(host.views.grab(name)) == place

    def test_the_size_is_that_of_the_view(self, host, volume):
        host.views.view("Red").resize(300, 200)
        assert host.views.grab("Red").shape == (200, 300, 3)
        assert side(host.views.grab("Red")) == ("bottom", "left")

    def test_the_same_scene_gives_the_same_picture(self, host, volume):
        np.testing.assert_array_equal(host.views.grab("Red"), host.views.grab("Red"))

    def test_a_half_transparent_segment_does_not_hide_the_volume(self, host, volume):
        before = host.views.grab("Red")
        everywhere = np.ones(SHAPE_KJI, bool)
        segmentation = add_segmentation(host.scene, "all", {"all": everywhere}, np.eye(4))
        segmentation.GetDisplayNode().SetOpacity2DFill(0.5)
        segmentation.GetDisplayNode().SetVisibility2DOutline(False)
        tinted = host.views.grab("Red").astype(int)
        bright = before.mean(axis=2) > 128
        inside = tinted[bright].mean(axis=0)
        outside = tinted[host.views.view("Red").window.GetSize()[1] // 2, before.shape[1] // 2]
        assert (inside > outside + 80).all(), "the box is to be seen through the segment"
        assert outside.max() > 60, "the segment is to be seen"

    def test_the_3d_view_shows_surfaces(self, host):
        empty = host.views.grab("1")
        segmentation = add_segmentation(host.scene, "all", {"all": np.ones(SHAPE_KJI, bool)}, np.eye(4))
        segmentation.CreateClosedSurfaceRepresentation()
        slicer.util.resetThreeDViews()
        assert (host.views.grab("1") != empty).any(axis=2).mean() > 0.05

    def test_a_transform_moves_the_picture(self, host, volume):
        before = host.views.grab("Red")
        put_under(volume, add_bend(host.scene, amplitude_mm=6))
        assert (host.views.grab("Red") != before).any()


class TestRequests:
    @pytest.fixture
    def grid(self, host):
        """The grid of a transform that bends the volume, after everything has been drawn."""
        node = add_bend(host.scene)
        volume = shown(host, add_volume(host.scene, "CT", 300 * smooth_array(SHAPE_KJI, 1) + 500))
        put_under(volume, node)
        host.views.grab("Red")
        return node.GetTransformFromParent()

    def test_a_change_that_mrml_is_not_told_of_is_not_drawn(self, host, grid):
        before = requests(host)
        picture = host.views.view("Red").pixels()
        _double(grid)
        assert requests(host) == before
        grid.Modified()
        assert all(requests(host)[name] > before[name] for name in before)
        assert (host.views.grab("Red") != picture).any()

    def test_a_hidden_view_is_not_drawn(self, host, volume):
        before = renders(host)
        volume.GetDisplayNode().SetWindowLevelMinMax(0, 500)
        slicer.app.processEvents()
        assert renders(host) == before

    def test_many_changes_are_drawn_once_when_the_event_loop_runs(self, host, grid):
        _settle(host)
        before, asked = renders(host), requests(host)
        for _ in range(5):
            _double(grid)
            grid.Modified()
        assert renders(host) == before
        assert requests(host)["Red"] >= asked["Red"] + 5
        slicer.app.processEvents()
        after = renders(host)
        assert [after[name] - before[name] for name in ("Red", "Green", "Yellow")] == [1, 1, 1]
        slicer.app.processEvents()
        assert renders(host) == after, "nothing changed any more"

    def test_while_rendering_is_paused_nothing_is_drawn(self, host, volume):
        _settle(host)
        before = renders(host)
        with slicer.util.RenderBlocker():
            volume.GetDisplayNode().SetWindowLevelMinMax(0, 500)
            slicer.app.processEvents()
            assert renders(host) == before
        slicer.app.processEvents()
        after = renders(host)
        assert after["Red"] == before["Red"] + 1
        with slicer.util.RenderBlocker():
            pass
        slicer.app.processEvents()
        assert renders(host) == after, "nothing was asked for"

    def test_after_closing_the_scene_the_views_go_on(self, host, volume):
        slicer.mrmlScene.Clear()
        assert (host.views.grab("Red").max(axis=2) > 128).mean() < 0.01
        shown(host, add_volume(host.scene, "white", np.full(SHAPE_KJI, 1000.0)))
        assert (host.views.grab("Red").min(axis=2) > 128).mean() > 0.3


class TestLayout:
    def test_four_views_are_there_at_the_start(self, host):
        manager = slicer.app.layoutManager()
        assert list(manager.sliceViewNames()) == ["Red", "Green", "Yellow"]
        assert (manager.threeDViewCount, manager.plotViewCount) == (1, 0)
        assert manager.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
        assert manager.sliceWidget("Red").mrmlSliceNode().GetOrientation() == "Axial"
        assert manager.sliceWidget("Blue") is None

    def test_another_layout_brings_its_views(self, host):
        manager = slicer.app.layoutManager()
        changes = []
        manager.connect("layoutChanged(int)", changes.append)
        host.main_window(900, 600)
        manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpPlotView)
        slicer.app.processEvents()
        assert changes == [slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpPlotView]
        assert manager.plotWidget(0).visible
        assert not manager.threeDWidget(0).visible
        manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
        slicer.app.processEvents()
        assert [manager.sliceWidget(name).visible for name in ("Red", "Green")] == [True, False]

    def test_a_chart_is_shown_by_slicer_itself(self, host):
        chart = host.scene.AddNewNodeByClass("vtkMRMLPlotChartNode")
        slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpPlotView)
        slicer.modules.plots.logic().ShowChartInLayout(chart)
        node = slicer.app.layoutManager().plotWidget(0).mrmlPlotViewNode()
        assert node.GetPlotChartNodeID() == chart.GetID()

    def test_slice_views_are_fitted_to_their_volume(self, host, volume):
        node = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
        fitted = node.GetFieldOfView()
        node.SetFieldOfView(1000, 1000, 1)
        slicer.util.resetSliceViews()
        assert node.GetFieldOfView() == pytest.approx(fitted)

    def test_reset_brings_back_the_views_of_the_start(self, host):
        manager = slicer.app.layoutManager()
        manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
        manager.sliceWidget("Red").setSliceOrientation("Coronal")
        host.main_window(900, 600)
        host.reset()
        assert host.views.grab("Red").shape == (400, 400, 3)
        assert manager.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
        assert manager.sliceWidget("Red").sliceOrientation == "Axial"

    def test_it_has_no_names_that_slicer_has_not(self, host):
        manager = slicer.app.layoutManager()
        for thing, name in (
            (manager, "views"),
            (manager.sliceWidget("Red"), "grab_pixels"),
            (manager.sliceWidget("Red").sliceView(), "requests"),
            (manager.threeDWidget(0).threeDView(), "renderer"),
        ):
            with pytest.raises(AttributeError):
                getattr(thing, name)


class TestWindow:
    @pytest.mark.parametrize("dark", [False, True])
    def test_the_picture_of_the_window_has_panel_and_views(self, host, volume, tmp_path, dark):
        import qt

        host.main_window(1000, 600, dark=dark)
        host.grab_window(tmp_path / "window.png")
        image = qt.QImage(str(tmp_path / "window.png"))
        assert (image.width(), image.height()) == (1000, 600)
        assert (image.pixelColor(10, 300).lightness() < 100) == dark
        red_bar = slicer.app.layoutManager().sliceWidget("Red").sliceController()
        assert image.pixelColor(445, 5).getRgb()[:3] == (243, 74, 51), red_bar.text


def test_where_opengl_crashes_there_are_no_views(monkeypatch):
    monkeypatch.setattr(views, "PROBE", "import os; os.abort()")
    assert not views.opengl_works.__wrapped__()


def _double(grid) -> None:
    from vtk.util.numpy_support import vtk_to_numpy

    vtk_to_numpy(grid.GetDisplacementGrid().GetPointData().GetScalars())[:] *= 1.2


def _settle(host) -> None:
    """Show the window and let everything be drawn."""
    host.main_window(900, 600)
    for _ in range(5):
        slicer.app.processEvents()
