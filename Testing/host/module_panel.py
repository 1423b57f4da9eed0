"""The place of a module beside the views, as wide as qSlicerModulePanel of Slicer lets it be."""

from __future__ import annotations

from .qt_binding import QtCore, QtWidgets

Policy = QtWidgets.QSizePolicy


class ModulePanel(QtWidgets.QScrollArea):
    """Scrolls up and down only, so it becomes as wide as the module wants: a module that grows takes from the views.

    As in Base/QTGUI/qSlicerModulePanel.cxx and .ui, without the section "Help & Acknowledgement", which is Ignored.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(Policy.Minimum, Policy.Expanding)
        self.setFrameShape(QtWidgets.QFrame.NoFrame)
        self.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarAlwaysOff)
        self.setWidgetResizable(True)
        contents = QtWidgets.QWidget()
        contents.setSizePolicy(Policy.Minimum, Policy.Preferred)
        layout = QtWidgets.QVBoxLayout(contents)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSizeConstraint(QtWidgets.QLayout.SetMinAndMaxSize)
        layout.addSpacerItem(QtWidgets.QSpacerItem(0, 0, Policy.Minimum, Policy.MinimumExpanding))
        self.setWidget(contents)

    def set_module(self, module: QtWidgets.QWidget | None) -> None:
        """Show this widget instead of the one before, which lives on."""
        layout = self.widget().layout()
        before = layout.itemAt(0).widget()  # of the spacer, there is none
        if before is not None:
            layout.removeWidget(before)
            before.setVisible(False)
            before.setParent(None)
        if module is not None:
            module.layout().setContentsMargins(0, 0, 0, 0)
            layout.insertWidget(0, module, 1)
            # Not its minimumSizeHint is what it gets at least, but its sizeHint, if that is wider.
            module.setSizePolicy(Policy.Minimum, module.sizePolicy().verticalPolicy())
            module.setVisible(True)

    def eventFilter(self, watched: QtCore.QObject, event: QtCore.QEvent) -> bool:
        handled = super().eventFilter(watched, event)
        if event.type() in (QtCore.QEvent.LayoutRequest, QtCore.QEvent.Resize) and watched is self.widget():
            # No minimumSizeHint as in Slicer: that is a property for the code under test, on top of which Qt would not
            # find a Python method of that name. The width of a bar that scrolls across is Slicer's way too.
            bar = self.horizontalScrollBar().sizeHint().width()
            self.setMinimumWidth(self.widget().minimumSizeHint().width() + bar)
        return handled
