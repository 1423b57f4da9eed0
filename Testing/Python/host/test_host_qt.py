"""The test host's `qt` has the rules of PythonQt, as measured with the real one, and refuses what is not portable."""

from __future__ import annotations

import threading
import time

import pytest
from host import pythonqt
from host.event_loop import LoopWatch, keeps_gil, run_loop

qt = pythonqt.install()


@pytest.fixture(autouse=True)
def no_uncaught_exceptions():
    pythonqt.slot_errors.clear()
    yield
    assert pythonqt.slot_errors == []


class Panel(qt.QWidget):
    """A class outside code makes; PythonQt allows new attributes on its objects."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self.count = 1


def sent_by(widget, signature: str, do) -> list:
    """What a connected function is called with while do() runs."""
    calls = []
    widget.connect(signature, lambda *arguments: calls.append(arguments))
    do()
    return calls


# Reading


def test_property_is_read_as_a_value():
    assert qt.QPushButton("text").text == "text"


def test_property_cannot_be_called():
    with pytest.raises(TypeError):
        qt.QSpinBox().value()


def test_method_that_is_no_property_is_called():
    assert qt.QCheckBox().isChecked() is False


def test_enumeration_property_is_an_integer():
    assert type(qt.QSlider().orientation) is int


def test_enumeration_values_are_integers():
    assert qt.Qt.AlignLeft + 0 == 1


def test_name_means_object_name():
    button = qt.QPushButton()
    button.name = "okButton"
    assert button.objectName == "okButton"


def test_child_is_found_by_its_name():
    panel = qt.QWidget()
    button = qt.QPushButton(panel)
    button.setObjectName("okButton")
    assert panel.okButton is button


def test_dynamic_property_is_an_attribute():
    button = qt.QPushButton()
    button.setProperty("SlicerParameterName", "weight")
    assert button.SlicerParameterName == "weight"


def test_unknown_name_is_an_error():
    with pytest.raises(AttributeError, match="QLabel has no attribute named 'color'"):
        qt.QLabel().color  # noqa: B018


def test_class_name_is_that_of_the_cpp_class():
    assert qt.QPushButton().className() == "QPushButton"


def test_children_are_found_by_the_name_of_their_class():
    panel = qt.QWidget()
    button = qt.QPushButton(panel)
    assert panel.findChildren("QAbstractButton") == [button]


def test_only_child_with_the_name_is_found():
    panel = qt.QWidget()
    qt.QPushButton(panel)
    button = qt.QPushButton(panel)
    button.setObjectName("okButton")
    assert panel.findChild(qt.QPushButton, "okButton") is button


def test_dialog_function_gives_the_value_alone():
    qt.QTimer.singleShot(0, lambda: qt.QApplication.activeModalWidget().accept())
    assert qt.QInputDialog.getText(None, "title", "label", qt.QLineEdit.Normal, "given") == "given"


# Writing


def test_property_is_written():
    box = qt.QCheckBox()
    box.checked = True
    assert box.isChecked()


def test_integer_property_cuts_a_real_number():
    box = qt.QSpinBox()
    box.value = 33.7
    assert box.value == 33


@pytest.mark.parametrize("value", ["7", None])
def test_integer_property_refuses(value):
    with pytest.raises(AttributeError, match="does not accept an object of type"):
        qt.QSpinBox().value = value


@pytest.mark.parametrize(("value", "text"), [(5, "5"), (None, "None")])
def test_text_property_takes_anything(value, text):
    label = qt.QLabel()
    label.text = value
    assert label.text == text


def test_read_only_property_is_refused():
    with pytest.raises(AttributeError, match="not writable"):
        qt.QWidget().width = 10


def test_new_attribute_on_a_cpp_object_is_refused():
    with pytest.raises(AttributeError, match="creating new attributes on C\\+\\+ objects is not allowed"):
        qt.QLabel().remark = "text"


def test_private_attribute_on_a_cpp_object_is_refused():
    with pytest.raises(AttributeError, match="not allowed"):
        qt.QLabel()._remark = "text"


def test_new_attribute_on_a_python_subclass_is_kept():
    panel = Panel()
    panel.count += 1
    assert panel.count == 2


def test_method_cannot_be_replaced_even_on_a_python_subclass():
    with pytest.raises(AttributeError, match="can not be overwritten"):
        Panel().setWindowTitle = lambda title: None


def test_single_shot_is_a_function_and_no_property():
    with pytest.raises(AttributeError, match="can not be overwritten"):
        qt.QTimer().singleShot = True


# Signals


def test_signature_may_have_blanks_and_references():
    edit = qt.QLineEdit()
    assert sent_by(edit, "textChanged( const QString & )", lambda: edit.setText("a")) == [("a",)]


def test_surplus_arguments_are_dropped():
    button, calls = qt.QPushButton(), []
    button.connect("clicked(bool)", lambda: calls.append("called"))
    button.click()
    assert calls == ["called"]


def test_default_argument_takes_what_the_signal_sends():
    button, values = qt.QPushButton(), []
    button.connect("clicked(bool)", lambda value=9: values.append(value))
    button.click()
    assert values == [False]


def test_default_argument_stays_if_the_signal_sends_nothing():
    button, values = qt.QPushButton(), []
    button.connect("clicked()", lambda value=9: values.append(value))
    button.click()
    assert values == [9]


def test_attribute_of_a_signal_is_the_first_overload():
    button, values = qt.QPushButton(), []
    button.clicked.connect(lambda value=9: values.append(value))
    button.click()
    assert values == [False]


def test_disconnected_function_is_not_called():
    button, calls = qt.QPushButton(), []

    def receive():
        calls.append("called")

    button.connect("clicked()", receive)
    assert button.disconnect("clicked()", receive)
    button.click()
    assert calls == []


def test_disconnecting_leaves_the_other_receivers():
    button, calls = qt.QPushButton(), []

    def receive():
        calls.append("one")

    button.clicked.connect(receive)
    button.clicked.connect(lambda: calls.append("other"))
    button.clicked.disconnect(receive)
    button.click()
    assert calls == ["other"]


def test_signal_is_connected_to_the_slot_of_an_object():
    button, box = qt.QPushButton(), qt.QCheckBox()
    button.connect("clicked()", box, "toggle()")
    button.click()
    assert box.checked


def test_signal_that_does_not_exist_is_an_error():
    with pytest.raises(ValueError, match="signal 'currentIndexChanged\\(QString\\)' does not exist on QComboBox"):
        qt.QComboBox().connect("currentIndexChanged(QString)", print)


def test_slot_that_does_not_exist_is_an_error():
    with pytest.raises(ValueError, match="slot 'check\\(\\)' does not exist"):
        qt.QPushButton().connect("clicked()", qt.QCheckBox(), "check()")


@pytest.mark.parametrize("start", [lambda f: qt.QTimer.singleShot(0, f), lambda f: f.button.click()])
def test_exception_in_a_slot_is_collected_and_not_raised(start, capsys):
    def fail():
        raise KeyError("in slot")

    fail.button = qt.QPushButton()
    fail.button.connect("clicked()", fail)
    start(fail)
    run_loop(lambda: pythonqt.slot_errors, timeout_s=1.0)
    assert [str(error) for _, error, _ in pythonqt.slot_errors] == ["'in slot'"]
    pythonqt.slot_errors.clear()


def test_connections_end_with_their_sender():
    from host import signals

    before = signals.connected_senders()
    button = qt.QPushButton()
    button.connect("clicked()", print)
    assert signals.connected_senders() == before + 1
    button.delete()
    assert signals.connected_senders() == before


# What is not portable or not safe


def test_destroyed_object_is_false():
    button = qt.QPushButton()
    button.delete()
    assert not button


def test_destroyed_object_is_noticed():
    button = qt.QPushButton()
    button.delete()
    with pytest.raises(ValueError, match="destroyed QPushButton"):
        button.text  # noqa: B018


def test_names_that_only_qt_6_has_are_hidden():
    with pytest.raises(AttributeError, match="checkStateChanged"):
        qt.QCheckBox().checkStateChanged.connect(print)


def test_signals_that_only_qt_6_has_cannot_be_connected():
    with pytest.raises(ValueError, match="does not exist"):
        qt.QCheckBox().connect("checkStateChanged(Qt::CheckState)", print)


@pytest.mark.parametrize("name", ["Signal", "Slot", "Property", "QPermission"])
def test_names_that_pythonqt_has_not_are_missing(name):
    assert not hasattr(qt, name)


def test_widget_outside_the_main_thread_is_an_error():
    label, errors = qt.QLabel(), []

    def use():
        try:
            label.text = "from a thread"
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert errors == ["'text' of a QLabel object is used outside the main thread"]


# The event loop


def test_loop_ends_when_the_condition_is_met():
    done = []
    qt.QTimer.singleShot(20, lambda: done.append(True))
    assert run_loop(lambda: done, timeout_s=5.0)


def test_loop_ends_when_time_is_up():
    assert not run_loop(lambda: False, timeout_s=0.05)


def test_exception_of_the_condition_is_raised():
    with pytest.raises(ZeroDivisionError):
        run_loop(lambda: 1 / 0, timeout_s=1.0)


@pytest.mark.skipif(not keeps_gil(), reason="this Qt library does not show QCoreApplication::exec()")
def test_idle_loop_stops_python_threads_as_in_slicer():
    def steps_of_a_thread(keep_gil: bool) -> int:
        steps, stop = [], threading.Event()

        def work():
            while not stop.wait(0.001):
                steps.append(time.perf_counter())

        thread = threading.Thread(target=work)
        thread.start()
        before = len(steps)
        run_loop(timeout_s=0.3, keep_gil=keep_gil)
        count = len(steps) - before
        stop.set()
        thread.join()
        return count

    assert steps_of_a_thread(keep_gil=True) * 5 < steps_of_a_thread(keep_gil=False)


def test_watch_sees_what_blocks_the_loop():
    qt.QTimer.singleShot(50, lambda: time.sleep(0.15))
    with LoopWatch() as watch:
        run_loop(timeout_s=0.4)
    assert watch.result().longest_ms > 130


def test_watch_does_not_take_one_block_for_many():
    qt.QTimer.singleShot(50, lambda: time.sleep(0.15))
    with LoopWatch() as watch:
        run_loop(timeout_s=0.4)
    assert watch.result().percentile_95_ms < watch.result().longest_ms / 2


def test_watch_sees_a_loop_that_never_comes_back():
    with LoopWatch() as watch:
        time.sleep(0.1)
    assert watch.result().longest_ms > 80
