"""For tests with widgets: what a signal sends, and a window to put widgets into."""

from __future__ import annotations

from host import pythonqt

qt = pythonqt.install()


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
