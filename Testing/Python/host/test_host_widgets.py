"""The test host's stand-ins for widgets of CTK and Slicer: names of the C++ headers, behavior of the C++ classes."""

from __future__ import annotations

import pytest
import slicer
from host import ctk_widgets, mouse, mrml_widgets, pythonqt, stand_ins
from host.allowed_names.make_lists import read_class
from widget_helpers import recorded, shown

qt = pythonqt.install()
ctk = ctk_widgets.install()
mrml_widgets.install()

PLAIN_TYPES = ("bool", "int", "double", "QString", "QStringList")


@pytest.fixture(autouse=True)
def no_uncaught_exceptions():
    pythonqt.slot_errors.clear()
    yield
    assert pythonqt.slot_errors == []


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
