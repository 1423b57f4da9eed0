"""The test host refuses classes that override a method of Qt that returns a value: they crash Slicer."""

from __future__ import annotations

import pytest
from host import pythonqt

qt = pythonqt.install()


def weight_text(weight: float) -> str:
    return f"{weight:.3g}"


def test_spin_box_that_crashed_slicer_is_refused():
    """The rows of the panel had it; 5.10 ended as soon as there was a row."""
    with pytest.raises(TypeError) as refused:

        class WeightBox(qt.QDoubleSpinBox):
            """A spin box that shows a weight rounded and takes it with more digits."""

            def __init__(self, parent: qt.QWidget | None = None) -> None:
                qt.QDoubleSpinBox.__init__(self, parent)
                self.setLocale(qt.QLocale(qt.QLocale.C))
                self.setDecimals(6)
                self.setRange(0.0, 1000.0)
                self.setKeyboardTracking(False)
                self._edit = self.findChildren("QLineEdit")[0]
                self._edit.connect("textEdited(QString)", self._take_comma_for_point)

            def textFromValue(self, value: float) -> str:
                return weight_text(value)

            def _take_comma_for_point(self, text: str) -> None:
                if "," in text:
                    place = self._edit.cursorPosition
                    self._edit.setText(text.replace(",", "."))
                    self._edit.cursorPosition = place

    for part in ("WeightBox", "QDoubleSpinBox.textFromValue", "Slicer/Slicer#9127", "commontk/PythonQt#68", "crashes"):
        assert part in str(refused.value)


def answer(*_arguments):
    return None


@pytest.mark.parametrize(
    ("base", "name"),
    [
        ("QObject", "eventFilter"),
        ("QObject", "event"),
        ("QWidget", "sizeHint"),
        ("QLabel", "minimumSizeHint"),
        ("QTableWidgetItem", "data"),
        ("QListWidgetItem", "data"),
        ("QGraphicsItem", "boundingRect"),
        ("QStyledItemDelegate", "displayText"),
        ("QStyledItemDelegate", "createEditor"),
        ("QStyledItemDelegate", "sizeHint"),
        ("QSortFilterProxyModel", "filterAcceptsRow"),
        ("QAbstractTableModel", "data"),
        ("QSpinBox", "validate"),
        ("QValidator", "validate"),
        ("QDialog", "exec"),
    ],
)
def test_method_that_returns_a_value_is_refused(base, name):
    with pytest.raises(TypeError, match=rf"class Mine overrides Q\w+\.{name}, which returns a value"):
        type("Mine", (getattr(qt, base),), {name: answer})


@pytest.mark.parametrize(
    ("base", "name"),
    [
        ("QWidget", "resizeEvent"),
        ("QWidget", "changeEvent"),
        ("QWidget", "paintEvent"),
        ("QWidget", "keyPressEvent"),
        ("QDialog", "accept"),
        ("QWidget", "setVisible"),
        ("QStyledItemDelegate", "paint"),
        ("QStyledItemDelegate", "setEditorData"),
        ("QTimer", "timerEvent"),
        ("QTableWidgetItem", "setData"),
        ("QWidget", "anything_else"),
        ("QWidget", "__init__"),
        ("QWidget", "__eq__"),
    ],
)
def test_method_that_returns_nothing_is_allowed(base, name):
    assert name in vars(type("Mine", (getattr(qt, base),), {name: answer}))


def test_mixin_is_looked_at_too():
    mixin = type("Mixin", (), {"sizeHint": answer})
    with pytest.raises(TypeError, match="Mine overrides QLabel.sizeHint"):
        type("Mine", (mixin, qt.QLabel), {})


def test_method_that_comes_after_the_one_of_qt_overrides_nothing():
    mixin = type("Mixin", (), {"sizeHint": answer})
    type("Mine", (qt.QLabel, mixin), {})


def test_subclass_of_a_stand_in_is_looked_at_too(slicer_host):
    import ctk
    import slicer

    for base in (ctk.ctkSliderWidget, slicer.qMRMLNodeComboBox, ctk.ctkCollapsibleButton):
        type("Mine", (base,), {"resizeEvent": answer})
        with pytest.raises(TypeError, match=r"class Mine overrides Q\w+\.sizeHint"):
            type("Mine", (base,), {"sizeHint": answer})


def test_subclass_of_an_allowed_class_is_looked_at_too():
    allowed = type("Allowed", (qt.QWidget,), {"resizeEvent": answer})
    with pytest.raises(TypeError, match="Mine overrides QWidget.sizeHint"):
        type("Mine", (allowed,), {"sizeHint": answer})


def test_value_classes_are_looked_at_too():
    with pytest.raises(TypeError, match="Mine overrides QColor.name"):
        type("Mine", (qt.QColor,), {"name": answer})


def test_installed_packages_may_have_their_own_windows():
    from matplotlib.backends import backend_qtagg

    assert backend_qtagg.FigureCanvasQTAgg.sizeHint
