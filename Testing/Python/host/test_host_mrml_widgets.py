"""The test host's stand-ins for widgets that show MRML nodes follow the real scene as Slicer's do."""

from __future__ import annotations

import pytest
import slicer
import vtk
from host import mouse, mrml_widgets, pythonqt
from widget_helpers import recorded, shown

qt = pythonqt.install()
mrml_widgets.install()


@pytest.fixture(autouse=True)
def no_uncaught_exceptions():
    pythonqt.slot_errors.clear()
    yield
    assert pythonqt.slot_errors == []


# Choosing a node


def make_selector(scene, **properties):
    made = slicer.qMRMLNodeComboBox()
    made.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    for name, value in properties.items():
        setattr(made, name, value)
    made.setMRMLScene(scene)
    return made


def add_volume(scene, name):
    return scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)


def test_nodes_of_other_types_are_left_out(mrml_scene):
    add_volume(mrml_scene, "scan")
    mrml_scene.AddNewNodeByClass("vtkMRMLTableNode", "table")
    selector = make_selector(mrml_scene)
    assert [selector.nodeFromIndex(i).GetName() for i in range(selector.nodeCount())] == ["scan"]


def test_hidden_nodes_are_left_out(mrml_scene):
    selector = make_selector(mrml_scene)
    add_volume(mrml_scene, "scan").SetHideFromEditors(True)
    assert selector.nodeCount() == 0


def test_derived_types_can_be_left_out(mrml_scene):
    mrml_scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    assert make_selector(mrml_scene).nodeCount() == 1
    assert make_selector(mrml_scene, showChildNodeTypes=False).nodeCount() == 0


def test_nodes_without_the_attribute_are_left_out(mrml_scene):
    selector = make_selector(mrml_scene)
    selector.addAttribute("vtkMRMLScalarVolumeNode", "Phase", "exhale")
    volume = add_volume(mrml_scene, "scan")
    assert selector.nodeCount() == 0
    volume.SetAttribute("Phase", "inhale")
    assert selector.nodeCount() == 0
    volume.SetAttribute("Phase", "exhale")
    assert selector.nodeCount() == 1


def test_without_none_the_first_node_is_chosen_when_the_scene_is_set(mrml_scene):
    volume = add_volume(mrml_scene, "first")
    add_volume(mrml_scene, "second")
    assert make_selector(mrml_scene).currentNode() is volume


def test_with_none_no_node_is_chosen_when_the_scene_is_set(mrml_scene):
    add_volume(mrml_scene, "scan")
    assert make_selector(mrml_scene, noneEnabled=True).currentNode() is None


def test_node_asked_for_before_the_scene_is_set_is_chosen(mrml_scene):
    add_volume(mrml_scene, "first")
    volume = add_volume(mrml_scene, "second")
    selector = slicer.qMRMLNodeComboBox()
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    selector.setCurrentNode(volume)
    selector.setMRMLScene(mrml_scene)
    assert selector.currentNode() is volume


def test_choosing_sends_the_node_and_its_id(mrml_scene):
    selector = make_selector(mrml_scene, noneEnabled=True)
    volume = add_volume(mrml_scene, "scan")
    nodes, flags = (
        recorded(selector, "currentNodeChanged(vtkMRMLNode*)"),
        recorded(selector, "currentNodeChanged(bool)"),
    )
    ids = recorded(selector, "currentNodeIDChanged(QString)")
    selector.setCurrentNode(volume)
    assert (nodes, flags, ids) == ([volume], [True], [volume.GetID()])


def test_new_node_is_sent_once(mrml_scene):
    selector = make_selector(mrml_scene)
    added = recorded(selector, "nodeAdded(vtkMRMLNode*)")
    volume = add_volume(mrml_scene, "scan")
    mrml_scene.AddNewNodeByClass("vtkMRMLTableNode", "table")
    assert added == [volume]


def test_node_that_is_not_in_the_list_chooses_none(mrml_scene):
    selector = make_selector(mrml_scene, noneEnabled=True)
    selector.setCurrentNode(add_volume(mrml_scene, "scan"))
    selector.setCurrentNode(mrml_scene.AddNewNodeByClass("vtkMRMLTableNode", "table"))
    assert selector.currentNode() is None


def test_removed_node_becomes_none_and_is_sent(mrml_scene):
    volume = add_volume(mrml_scene, "scan")
    selector = make_selector(mrml_scene, noneEnabled=True)
    selector.setCurrentNode(volume)
    nodes = recorded(selector, "currentNodeChanged(vtkMRMLNode*)")
    mrml_scene.RemoveNode(volume)
    assert nodes[-1:] == [None]
    assert selector.currentNodeID == ""


def test_removal_is_sent_while_the_node_is_still_in_the_scene(mrml_scene):
    volume = add_volume(mrml_scene, "scan")
    selector = make_selector(mrml_scene, noneEnabled=True)
    selector.setCurrentNode(volume)
    scenes = []
    selector.connect("currentNodeChanged(vtkMRMLNode*)", lambda node: scenes.append(volume.GetScene()))
    mrml_scene.RemoveNode(volume)
    assert scenes == [mrml_scene]


def test_another_node_takes_the_place_of_a_removed_one(mrml_scene):
    first, second = add_volume(mrml_scene, "first"), add_volume(mrml_scene, "second")
    selector = make_selector(mrml_scene, noneEnabled=True)
    selector.setCurrentNode(second)
    mrml_scene.RemoveNode(second)
    assert selector.currentNode() is first


def test_node_that_gets_hidden_is_not_current_any_more(mrml_scene):
    volume = add_volume(mrml_scene, "scan")
    selector = make_selector(mrml_scene, noneEnabled=True)
    selector.setCurrentNode(volume)
    volume.SetHideFromEditors(True)
    volume.Modified()
    assert selector.currentNode() is None


def test_closing_the_scene_leaves_none(mrml_scene):
    selector = make_selector(mrml_scene)
    selector.setCurrentNode(add_volume(mrml_scene, "scan"))
    nodes = recorded(selector, "currentNodeChanged(vtkMRMLNode*)")
    mrml_scene.Clear(False)
    assert (selector.currentNode(), selector.nodeCount(), nodes) == (None, 0, [None])


def test_new_name_is_shown(mrml_scene):
    volume = add_volume(mrml_scene, "scan")
    selector = make_selector(mrml_scene)
    volume.SetName("exhale")
    window = shown(selector)
    mouse.choose(selector, "exhale")
    assert selector.currentNode() is volume
    window.delete()


def test_entry_makes_a_node_with_the_base_name(mrml_scene):
    selector = make_selector(mrml_scene, noneEnabled=True, baseName="Output")
    added = recorded(selector, "nodeAddedByUser(vtkMRMLNode*)")
    window = shown(selector)
    mouse.choose(selector, f"Create new {selector.nodeTypeLabel('vtkMRMLScalarVolumeNode')}")
    assert selector.currentNode().GetName() == "Output"
    assert added == [selector.currentNode()]
    window.delete()


def test_new_node_has_the_attribute_that_is_asked_for(mrml_scene):
    selector = make_selector(mrml_scene)
    selector.addAttribute("vtkMRMLScalarVolumeNode", "Phase", "exhale")
    assert selector.addNode().GetAttribute("Phase") == "exhale"


@pytest.mark.parametrize(("enabled", "count"), [(True, 1), (False, 0)])
def test_entry_for_renaming_is_there_only_if_enabled(mrml_scene, enabled, count):
    selector = make_selector(mrml_scene, renameEnabled=enabled)
    box = selector.findChild(qt.QComboBox)
    texts = [box.itemText(i) for i in range(box.count)]
    assert sum(text.startswith("Rename current") for text in texts) == count


def test_entry_deletes_the_current_node(mrml_scene):
    selector = make_selector(mrml_scene)
    selector.setCurrentNode(add_volume(mrml_scene, "scan"))
    window = shown(selector)
    mouse.choose(selector, f"Delete current {selector.nodeTypeLabel('vtkMRMLScalarVolumeNode')}")
    assert mrml_scene.GetFirstNodeByName("scan") is None
    window.delete()


def test_selector_is_disabled_without_a_scene():
    assert not slicer.qMRMLNodeComboBox().enabled


def test_destroyed_selector_leaves_nothing_at_the_scene():
    scene = slicer.vtkMRMLScene()
    selector = make_selector(scene)
    volume = add_volume(scene, "scan")
    assert scene.HasObserver(scene.NodeAddedEvent) and volume.HasObserver("ModifiedEvent")
    selector.delete()
    assert not scene.HasObserver(scene.NodeAddedEvent)


# Segments and tables


@pytest.fixture
def segmentation_node(mrml_scene):
    node = mrml_scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "tissues")
    for name in ("lung", "bone"):
        node.GetSegmentation().AddEmptySegment(name, name.upper())
    return node


@pytest.fixture
def segment_selector(mrml_scene):
    made = slicer.qMRMLSegmentSelectorWidget()
    made.setMRMLScene(mrml_scene)
    return made


def test_first_segment_is_chosen(segmentation_node, segment_selector):
    assert segment_selector.currentSegmentID() == "lung"


def test_segment_selector_with_none_keeps_none(segmentation_node, mrml_scene):
    selector = slicer.qMRMLSegmentSelectorWidget()
    selector.noneEnabled = True
    selector.setMRMLScene(mrml_scene)
    selector.setCurrentNode(segmentation_node)
    assert selector.currentSegmentID() == ""


def test_chosen_segment_is_sent(segmentation_node, segment_selector):
    sent = recorded(segment_selector, "currentSegmentChanged(QString)")
    segment_selector.setCurrentSegmentID("bone")
    assert sent == ["bone"]


def test_chosen_segment_stays_when_another_is_added(segmentation_node, segment_selector):
    segment_selector.setCurrentSegmentID("bone")
    segmentation_node.GetSegmentation().AddEmptySegment("liver", "liver")
    assert segment_selector.currentSegmentID() == "bone"


def test_removed_segment_is_replaced_by_the_first(segmentation_node, segment_selector):
    segment_selector.setCurrentSegmentID("bone")
    sent = recorded(segment_selector, "currentSegmentChanged(QString)")
    segmentation_node.GetSegmentation().RemoveSegment("bone")
    assert (segment_selector.currentSegmentID(), sent) == ("lung", ["lung"])


def test_segments_table_follows_the_segmentation(segmentation_node):
    table = slicer.qMRMLSegmentsTableView()
    table.setSegmentationNode(segmentation_node)
    segmentation_node.GetSegmentation().AddEmptySegment("liver", "liver")
    assert list(table.displayedSegmentIDs()) == ["lung", "bone", "liver"]


def test_table_view_shows_the_cells(mrml_scene):
    node = mrml_scene.AddNewNodeByClass("vtkMRMLTableNode", "measures")
    view = slicer.qMRMLTableView()
    view.setMRMLTableNode(node)
    column = vtk.vtkDoubleArray()
    column.SetName("Dice")
    column.InsertNextValue(0.75)
    node.AddColumn(column)
    model = view.model()
    assert (model.horizontalHeaderItem(0).text(), model.item(0, 0).text()) == ("Dice", "0.75")
