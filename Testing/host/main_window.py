"""A window with the module panel beside the views, for tests that need visible widgets and for screenshots."""

from __future__ import annotations

from pathlib import Path

from .module_panel import ModulePanel
from .qt_binding import QtGui, QtWidgets

DARK = {
    QtGui.QPalette.Window: "#323232",
    QtGui.QPalette.WindowText: "#f0f0f0",
    QtGui.QPalette.Base: "#1e1e1e",
    QtGui.QPalette.AlternateBase: "#2a2a2a",
    QtGui.QPalette.Text: "#f0f0f0",
    QtGui.QPalette.Button: "#3c3c3c",
    QtGui.QPalette.ButtonText: "#f0f0f0",
    QtGui.QPalette.BrightText: "#ff5555",
    QtGui.QPalette.ToolTipBase: "#3c3c3c",
    QtGui.QPalette.ToolTipText: "#f0f0f0",
    QtGui.QPalette.Link: "#5aa0ff",
    QtGui.QPalette.Highlight: "#2a82da",
    QtGui.QPalette.HighlightedText: "#ffffff",
}
DARK_DISABLED = {
    QtGui.QPalette.WindowText: "#808080",
    QtGui.QPalette.Text: "#808080",
    QtGui.QPalette.ButtonText: "#808080",
}
PANEL_WIDTH = 440


class MainWindow(QtWidgets.QMainWindow):
    """``slicer.util.mainWindow()``; views may be None."""

    def __init__(self, views: QtWidgets.QWidget | None, width: int, height: int, panel_width: int) -> None:
        super().__init__()
        self.setObjectName("qSlicerMainWindow")  # by this slicer.util finds it
        self.setWindowTitle("Slicer")
        self.statusBar()
        self._views = views
        self._panel = ModulePanel()
        splitter = QtWidgets.QSplitter()
        splitter.addWidget(self._panel)
        if views is not None:
            splitter.addWidget(views)
            views.show()
        splitter.setSizes([panel_width, max(width - panel_width, 0)])
        splitter.setStretchFactor(1, 1)
        self.setCentralWidget(splitter)
        self.resize(width, height)

    def show_module(self, widget: QtWidgets.QWidget) -> None:
        self._panel.set_module(widget)

    def save_picture(self, path: Path) -> None:
        """What a user sees, as a PNG file, after all pending events. Raises OSError if it cannot be written."""
        for _ in range(3):  # laying out, drawing the views, showing what they drew
            QtWidgets.QApplication.processEvents()
        if not self.grab().save(str(path)):
            raise OSError(f"the picture was not written to {path}")

    def release(self) -> None:
        """Close the window; module and views live on."""
        self._panel.set_module(None)
        if self._views is not None:
            self._views.setParent(None)
        self.close()
        self.deleteLater()


def set_appearance(font_points: float | None = None, dark: bool = False) -> None:
    """Font size and colors of the whole application; without arguments Qt's own."""
    application = QtWidgets.QApplication
    font = QtGui.QFontDatabase.systemFont(QtGui.QFontDatabase.GeneralFont)
    if font_points is not None:
        font.setPointSizeF(font_points)
    application.setFont(font)
    application.setPalette(_dark_palette() if dark else application.style().standardPalette())


def _dark_palette() -> QtGui.QPalette:
    palette = QtGui.QPalette()
    for role, color in DARK.items():
        palette.setColor(role, QtGui.QColor(color))
    for role, color in DARK_DISABLED.items():
        palette.setColor(QtGui.QPalette.Disabled, role, QtGui.QColor(color))
    return palette
