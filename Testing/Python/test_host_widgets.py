"""The test host's stand-ins for widgets of CTK and Slicer: names of the C++ headers, behaviour of the C++ classes."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

if find_spec("PySide6") is None:  # pytest.importorskip would import it without the settings of host.qt_binding
    pytest.skip("needs the pip package PySide6_Essentials", allow_module_level=True)
pytest.importorskip("slicer", reason="needs the pip package slicer-core")

import slicer
from host import ctk_widgets, mouse, mrml_widgets, pythonqt, stand_ins
from host.allowed_names.make_lists import read_class

qt = pythonqt.install()
ctk = ctk_widgets.install()
mrml_widgets.install()

PLAIN_TYPES = ("bool", "int", "double", "QString", "QStringList")


@pytest.fixture(autouse=True)
def no_uncaught_exceptions():
    pythonqt.slot_errors.clear()
    yield
    assert pythonqt.slot_errors == []


def recorded(widget, signature: str) -> list:
    """What the signal sends from now on."""
    sent = []
    widget.connect(signature, sent.append)
    return sent


def shown(*widgets):
    """A window with the widgets, open. Keep it, or they are gone."""
    window = qt.QWidget()
    layout = qt.QVBoxLayout(window)
    for widget in widgets:
        layout.addWidget(widget)
    window.resize(400, 300)
    window.show()
    qt.QApplication.processEvents()
    return window


# Names


def test_stand_ins_show_no_name_that_the_headers_do_not_have():
    extra = {
        f"{kind.__name__}.{name}"
        for kind in stand_ins.classes.values()
        for base in kind.__mro__
        if base.__module__.startswith("host.")
        for name in stand_ins.public_names(base)
        if not hasattr(stand_ins.qt_base(kind.__name__), name)
        and not any(name in stand_ins.names_of(entry) for entry in stand_ins.lineage(kind.__name__))
    }
    assert extra == set()


@pytest.mark.parametrize("class_name", ["ctkSliderWidget", "ctkCollapsibleButton", "ctkComboBox", "qMRMLNodeComboBox"])
def test_properties_have_the_types_of_the_header(class_name):
    widget = stand_ins.classes[class_name]()
    meta = widget.metaObject()
    types = stand_ins.lineage(class_name)[0]["properties"]
    own = [meta.property(index) for index in range(meta.propertyOffset(), meta.propertyCount())]
    wrong = [p.name() for p in own if types[p.name()] in PLAIN_TYPES and p.typeName() != types[p.name()]]
    assert wrong == []


def test_signals_send_as_many_values_as_in_the_headers():
    wrong = []
    for kind in stand_ins.classes.values():
        for signature, attribute in kind.stand_in_facts.signals.items():
            if str(getattr(kind, attribute)).count(",") != signature.count(","):
                wrong.append((kind.__name__, signature))
    assert wrong == []


def test_stand_in_with_a_name_of_its_own_is_refused():
    with pytest.raises(TypeError, match="ctkMenuButton has no public openMenu in Slicer"):
        stand_ins.stand_in()(type("ctkMenuButton", (stand_ins.QtWidgets.QPushButton,), {"openMenu": None}))


@pytest.mark.parametrize("name", ["setCollapsed", "_collapsed", "isCollapsed"])
def test_setter_that_is_not_in_the_header_is_missing(name):
    assert not hasattr(ctk.ctkCollapsibleButton(), name)


def test_name_of_the_qt_base_class_is_there():
    assert ctk.ctkCollapsibleButton("text").isCheckable()


def test_new_attribute_on_a_stand_in_is_refused():
    with pytest.raises(AttributeError, match="not allowed"):
        ctk.ctkSliderWidget().segmentId = "1"


def test_class_name_of_a_stand_in_is_that_of_slicer():
    assert slicer.qMRMLNodeComboBox().className() == "qMRMLNodeComboBox"


HEADER = """
class EXPORT_MACRO Box : public QWidget
{
  Q_OBJECT
  /// Q_PROPERTY(int commented READ commented)
  Q_PROPERTY(QString title READ title WRITE setTitle)
  Q_FLAGS(Options)
public:
  enum Option { None = 0x0, Wide, Tall = 4 };
  Q_DECLARE_FLAGS(Options, Option)
  void setTitle(const QString& title);
  Q_INVOKABLE QList<QPair<int, int>> pairs(const QString& of = "", int from = 0) const;
public slots:
  virtual void open();
signals:
  void opened(vtkNode* node);
protected slots:
  void onOpen();
  Q_INVOKABLE void hidden();
};
"""


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("properties", {"title": "QString"}),
        ("enums", ["Options", "None", "Wide", "Tall"]),
        ("signals", ["opened(vtkNode*)"]),
        ("slots", ["open()"]),
        ("invokables", ["pairs(QString,int)", "pairs(QString)", "pairs()"]),
        ("base", "QWidget"),
    ],
)
def test_names_are_read_from_a_header(kind, names):
    assert read_class("Box", HEADER)[kind] == names


# .ui files

UI = """<ui version="4.0"><class>Panel</class>
<widget class="qMRMLWidget" name="Panel"><layout class="QVBoxLayout"><item>
 <widget class="{kind}" name="selector">
  <property name="SlicerParameterName" stdset="0"><string>fixed</string></property>
 </widget>
</item></layout></widget>
<customwidgets>
 <customwidget><class>qMRMLWidget</class><extends>QWidget</extends><header>qMRMLWidget.h</header></customwidget>
 <customwidget><class>{kind}</class><extends>QWidget</extends><header>{kind}.h</header></customwidget>
</customwidgets>
<connections><connection><sender>Panel</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal>
 <receiver>selector</receiver><slot>{slot}</slot></connection></connections></ui>"""


def load_ui(folder, kind="qMRMLNodeComboBox", slot="setMRMLScene(vtkMRMLScene*)"):
    path = folder / "Panel.ui"
    path.write_text(UI.format(kind=kind, slot=slot))
    file = qt.QFile(str(path))
    file.open(qt.QFile.ReadOnly)
    return qt.QUiLoader().load(file)


def test_ui_file_makes_stand_ins(tmp_path):
    panel = load_ui(tmp_path)
    assert type(panel.selector) is slicer.qMRMLNodeComboBox


def test_ui_file_connects_signals_of_stand_ins(tmp_path, mrml_scene):
    panel = load_ui(tmp_path)
    panel.setMRMLScene(mrml_scene)
    assert panel.selector.mrmlScene() is mrml_scene


def test_ui_file_sets_dynamic_properties(tmp_path):
    assert load_ui(tmp_path).selector.SlicerParameterName == "fixed"


def test_custom_widget_without_stand_in_is_an_error(tmp_path):
    with pytest.raises(RuntimeError, match="no stand-in for qMRMLVolumeThresholdWidget"):
        load_ui(tmp_path, kind="qMRMLVolumeThresholdWidget")


def test_connection_to_a_slot_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(RuntimeError, match="slot 'setScene\\(vtkMRMLScene\\*\\)' does not exist on qMRMLNodeComboBox"):
        load_ui(tmp_path, slot="setScene(vtkMRMLScene*)")


# Collapsible sections


@pytest.fixture(params=["ctkCollapsibleButton", "ctkCollapsibleGroupBox"])
def section(request):
    """A section, open, with a label that is seen and one that the panel has hidden."""
    made = getattr(ctk, request.param)("Section")
    layout = qt.QVBoxLayout(made)
    for name in ("seen", "hidden"):
        label = qt.QLabel(name)
        label.setObjectName(name)
        layout.addWidget(label)
    made.hidden.setVisible(False)
    window = shown(made)
    yield made
    window.delete()


def test_click_on_the_header_collapses(section):
    mouse.click(section)
    assert section.collapsed
    assert not section.seen.visible


def test_what_the_panel_has_hidden_stays_hidden_when_expanded(section):
    section.collapsed = True
    section.collapsed = False
    assert section.seen.visible
    assert not section.hidden.visible


def test_what_is_shown_while_collapsed_appears_when_expanded(section):
    section.collapsed = True
    section.hidden.setVisible(True)
    assert not section.hidden.visible
    section.collapsed = False
    assert section.hidden.visible


def test_what_is_added_while_collapsed_appears_when_expanded(section):
    section.collapsed = True
    added = qt.QLabel("added")
    section.layout().addWidget(added)
    qt.QApplication.processEvents()
    assert not added.visible
    section.collapsed = False
    qt.QApplication.processEvents()
    assert added.visible


def test_collapsing_sends_the_state_once():
    button = ctk.ctkCollapsibleButton()
    sent = recorded(button, "contentsCollapsed(bool)")
    button.collapsed = True
    button.collapsed = True
    assert sent == [True]


# Sliders


@pytest.fixture
def slider():
    """From 0 to 10 in steps of 0.5, shown."""
    made = ctk.ctkSliderWidget()
    made.maximum = 10.0
    made.singleStep = 0.5
    window = shown(made)
    yield made
    window.delete()


def test_value_is_not_rounded_to_the_decimals(slider):
    slider.value = 3.14159
    assert slider.value == 3.14159


def test_value_set_by_code_is_sent_once(slider):
    sent = recorded(slider, "valueChanged(double)")
    slider.value = 4.0
    slider.value = 4.0
    assert sent == [4.0]


def test_smaller_range_moves_the_value(slider):
    slider.value = 8.0
    sent = recorded(slider, "valueChanged(double)")
    slider.maximum = 5.0
    assert (slider.value, sent) == (5.0, [5.0])


def test_setting_decimals_sends_the_value_again(slider):
    sent = recorded(slider, "valueChanged(double)")
    slider.decimals = 1
    assert sent == [0.0]


def test_single_step_wider_than_the_range_is_ignored(slider):
    slider.singleStep = 11.0
    assert slider.singleStep == 0.5


def test_dragging_sends_each_value(slider):
    sent = recorded(slider, "valueChanged(double)")
    mouse.drag(slider, 1.0, moves=5)
    assert len(sent) == 5
    assert sent[-1] == slider.value == 10.0


def test_dragging_moves_by_single_steps(slider):
    mouse.drag(slider, 0.33)
    assert slider.value % 0.5 == 0.0 and 0.0 < slider.value < 10.0


def test_dragging_without_tracking_sends_the_value_at_the_end(slider):
    slider.tracking = False
    sent = recorded(slider, "valueChanged(double)")
    mouse.drag(slider, 1.0, moves=5)
    assert sent == [10.0]


def test_value_waits_for_the_release_without_tracking(slider):
    slider.tracking = False
    seen = []
    slider.connect("valueIsChanging(double)", lambda value: seen.append((value, slider.value)))
    mouse.drag(slider, 1.0, moves=2)
    assert seen == [(5.0, 0.0), (10.0, 0.0)]


def test_typed_value_is_taken(slider):
    mouse.type_value(slider, "7.25")
    assert slider.value == 7.25


def test_disabled_slider_cannot_be_dragged(slider):
    slider.enabled = False
    with pytest.raises(ValueError, match="is disabled"):
        mouse.drag(slider, 1.0)


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
    import vtk

    node = mrml_scene.AddNewNodeByClass("vtkMRMLTableNode", "measures")
    view = slicer.qMRMLTableView()
    view.setMRMLTableNode(node)
    column = vtk.vtkDoubleArray()
    column.SetName("Dice")
    column.InsertNextValue(0.75)
    node.AddColumn(column)
    model = view.model()
    assert (model.horizontalHeaderItem(0).text(), model.item(0, 0).text()) == ("Dice", "0.75")
