"""Showing and hiding what is inside a collapsible widget."""

from __future__ import annotations

from .qt_binding import QtCore, QtWidgets

Qt = QtCore.Qt
WISH = (
    "visibilityToParent"  # dynamic property of a child, as in CTK: whether it is to be seen when nothing is collapsed
)


class Contents(QtCore.QObject):
    """The child widgets of a collapsible one; what others have hidden stays hidden when the contents are shown."""

    def __init__(self, section: QtWidgets.QWidget) -> None:
        super().__init__(section)
        self._section = section
        self._visible = True
        self._forcing = False

    def set_visible(self, visible: bool) -> None:
        self._visible = visible
        self.apply()

    def apply(self) -> None:
        """To be called when the section is shown for the first time: before that Qt overrides what is set here."""
        if self._section.testAttribute(Qt.WA_WState_Created):
            for child in self._section.findChildren(QtWidgets.QWidget, options=Qt.FindDirectChildrenOnly):
                self.adopt(child)

    def adopt(self, child: QtWidgets.QWidget) -> None:
        if child.testAttribute(Qt.WA_WState_ExplicitShowHide) and child.testAttribute(Qt.WA_WState_Hidden):
            child.setProperty(WISH, False)
        child.installEventFilter(self)
        wished = child.property(WISH) is not False
        self._forcing = True
        child.setVisible(self._visible and wished)
        self._forcing = False
        if wished:  # so that a later setVisible(False) by others is noticed
            child.setAttribute(Qt.WA_WState_ExplicitShowHide, False)

    def eventFilter(self, child: QtCore.QObject, event: QtCore.QEvent) -> bool:
        """Others show or hide a child: remember it, and keep the child hidden while the contents are."""
        if event.type() in (QtCore.QEvent.ShowToParent, QtCore.QEvent.HideToParent) and not self._forcing:
            child.setProperty(WISH, event.type() == QtCore.QEvent.ShowToParent)
            if not self._visible and child.property(WISH):
                self.adopt(child)
        return False
