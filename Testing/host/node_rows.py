"""The rows of a combo box for nodes: None, the nodes, a separator, actions."""

from __future__ import annotations

from .qt_binding import QtCore, QtWidgets

NODE_ID = QtCore.Qt.UserRole  # item data of None ("") and of nodes
SEPARATOR = "separator"  # as in Slicer; never seen, but leaving it counts as a change of the current text
ACTION = QtCore.Qt.UserRole + 1  # item data of actions


class NodeRows:
    """Changes only the rows that differ, so that QComboBox keeps or moves its current row as it does in Slicer."""

    def __init__(self, box: QtWidgets.QComboBox) -> None:
        self._box = box
        self._actions: list[tuple[str, tuple[str, str]]] = []

    def node_ids(self) -> list[str]:
        ids = (self._box.itemData(row, NODE_ID) for row in range(self._box.count()))
        return [node_id for node_id in ids if node_id]

    def row_of(self, node_id: str) -> int:
        """-1 if there is no such row."""
        rows = range(self._box.count())
        return next((row for row in rows if self._box.itemData(row, NODE_ID) == node_id), -1)

    def name_of(self, node_id: str) -> str | None:
        """As shown; None if there is no such row."""
        row = self.row_of(node_id)
        return self._box.itemText(row) if row >= 0 else None

    def action_of(self, row: int) -> tuple[str, str] | None:
        action = self._box.itemData(row, ACTION)
        return None if action is None else tuple(action)

    def show_none(self, text: str | None) -> None:
        shown = self.row_of("") == 0
        if text is None and shown:
            self._box.removeItem(0)
        elif text is not None and not shown:
            self._box.insertItem(0, text)
            self._box.setItemData(0, "", NODE_ID)
        elif text is not None and self._box.itemText(0) != text:
            self._box.setItemText(0, text)

    def show_nodes(self, nodes: list[tuple[str, str]]) -> None:
        """nodes: (ID, name), in the order of the scene."""
        first = 1 if self.row_of("") == 0 else 0
        wanted = [node_id for node_id, _ in nodes]
        for node_id in self.node_ids():
            if node_id not in wanted:
                self._box.removeItem(self.row_of(node_id))
        for position, (node_id, name) in enumerate(nodes):
            row = self.row_of(node_id)
            if row < 0:
                self._box.insertItem(first + position, name)
                self._box.setItemData(first + position, node_id, NODE_ID)
            elif self._box.itemText(row) != name:
                self._box.setItemText(row, name)

    def show_actions(self, actions: list[tuple[str, tuple[str, str]]]) -> None:
        """actions: (text, item data). They can be clicked in the list and never become the current row."""
        if actions == self._actions:
            return
        current = self._box.currentIndex()
        while self._box.count() and self._box.itemData(self._box.count() - 1, NODE_ID) is None:
            self._box.removeItem(self._box.count() - 1)
        self._actions = actions
        if actions:
            self._box.insertSeparator(self._box.count())
            self._box.setItemText(self._box.count() - 1, SEPARATOR)
        for text, data in actions:
            self._box.addItem(text)
            item = self._box.model().item(self._box.count() - 1)
            item.setData(list(data), ACTION)
            item.setFlags(QtCore.Qt.ItemIsEnabled)
        self._box.setCurrentIndex(current)
