"""Widths and heights that decide how a panel looks in Slicer: of its place, and of CTK's sections."""

from __future__ import annotations

import pytest


@pytest.fixture
def place(fresh_host):
    """Of a module in a window, 300 pixels wide; with a layout, as all modules have it."""
    from host.main_window import MainWindow
    from host.qt_binding import QtWidgets

    window = MainWindow(None, 1000, 400, 300)
    module = QtWidgets.QWidget()
    QtWidgets.QVBoxLayout(module)
    window.centralWidget().addWidget(QtWidgets.QWidget())  # instead of the views
    window.centralWidget().setSizes([300, 700])
    window.show_module(module)
    window.show()
    yield window.centralWidget().widget(0), module.layout()
    window.release()


def sentence():
    """A label that can be narrow and wants to be wide."""
    from host.qt_binding import QtWidgets

    label = QtWidgets.QLabel("A sentence of many words " * 20)
    label.setWordWrap(True)
    assert label.minimumSizeHint.width() < 100 and label.sizeHint.width() > 300
    return label


def settled_width(panel) -> int:
    from host.event_loop import run_loop

    run_loop(timeout_s=0.1)
    return panel.width


def test_panel_becomes_as_wide_as_its_module_wishes(place):
    panel, layout = place
    label = sentence()
    assert settled_width(panel) < label.sizeHint.width()
    layout.addWidget(label)
    assert settled_width(panel) > label.sizeHint.width()


def test_what_ignores_its_wish_leaves_the_width_alone(place):
    from host.qt_binding import QtWidgets

    panel, layout = place
    label, before = sentence(), settled_width(panel)
    label.setSizePolicy(QtWidgets.QSizePolicy.Ignored, QtWidgets.QSizePolicy.Preferred)
    layout.addWidget(label)
    assert settled_width(panel) == before


def test_section_gets_at_least_what_its_contents_wish(place):
    import ctk
    from host.qt_binding import QtWidgets

    panel, layout = place
    section, label = ctk.ctkCollapsibleButton("Section"), sentence()
    QtWidgets.QVBoxLayout(section).addWidget(label)
    layout.addWidget(section)
    assert settled_width(panel) > label.sizeHint.width()


@pytest.mark.parametrize("strip", [14, 0])
def test_strip_stays_below_the_header_of_a_closed_section(fresh_host, strip):
    import ctk

    section = ctk.ctkCollapsibleButton("Section")
    assert section.collapsedHeight == 14
    section.collapsedHeight = strip
    section.collapsed = True
    assert section.maximumHeight == section.sizeHint.height() == section.contentsMargins().top() + strip
