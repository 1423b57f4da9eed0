"""Stand-in for qMRMLNodeComboBox: chooses a node of the scene, makes new ones, renames and deletes them."""

from __future__ import annotations

import slicer

from .fields import field
from .node_rows import NODE_ID, NodeRows
from .qt_binding import QtCore, QtGui, QtWidgets
from .scene_observer import SceneObserver
from .stand_ins import stand_in


class _ElidingComboBox(QtWidgets.QComboBox):
    """Shortens a long name in its middle, as the box in Slicer's own does."""

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        style, option = QtWidgets.QStyle, QtWidgets.QStyleOptionComboBox()
        self.initStyleOption(option)
        room = self.style().subControlRect(style.CC_ComboBox, option, style.SC_ComboBoxEditField, self)
        option.currentText = self.fontMetrics().elidedText(option.currentText, QtCore.Qt.ElideMiddle, room.width())
        painter = QtWidgets.QStylePainter(self)
        painter.drawComplexControl(style.CC_ComboBox, option)
        painter.drawControl(style.CE_ComboBoxLabel, option)
        painter.end()


@stand_in(_validity_changed="currentNodeChanged(bool)")
class qMRMLNodeComboBox(QtWidgets.QWidget):  # noqa: N801
    """The list follows the scene: nodes that come, go or get another name, and the ends of closing and importing.

    Which node is current after a change is left to QComboBox, as in Slicer. When the current node goes, the next one
    in the list is chosen, or else the last one, or else none.
    """

    currentNodeChanged = QtCore.Signal(object)
    _validity_changed = QtCore.Signal(bool)
    currentNodeIDChanged = QtCore.Signal(str)
    currentNodeRenamed = QtCore.Signal(str)
    nodeActivated = QtCore.Signal(object)
    nodeAdded = QtCore.Signal(object)
    nodeAddedByUser = QtCore.Signal(object)
    nodeAddedByUserAction = QtCore.Signal(object)
    nodeAboutToBeRemoved = QtCore.Signal(object)
    nodeAboutToBeEdited = QtCore.Signal(object)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: slicer.vtkMRMLScene | None = None
        self._requested_id = ""  # chosen before there was a scene
        self._attributes: dict[str, tuple[str, str | None]] = {}  # node type: attribute name, value
        self._new_node_attributes: dict[str, str] = {}
        self._base_names: dict[str, str] = {}
        self._type_labels: dict[str, str] = {}
        self._user_actions: list[QtGui.QAction] = []
        self._scene_is_changing = False
        self._box = _ElidingComboBox()
        self._rows = NodeRows(self._box)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        self.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Fixed)
        self._box.currentTextChanged.connect(self._on_current_text)
        self._box.activated.connect(self._on_activated)
        self._box.view().clicked.connect(self._on_clicked)
        self._observer = SceneObserver(self, self._on_scene, self._on_node)
        self.setEnabled(False)

    def mrmlScene(self) -> slicer.vtkMRMLScene | None:
        return self._scene

    def setMRMLScene(self, scene: slicer.vtkMRMLScene | None) -> None:
        """Keeps the current node or takes the one asked for before; without None the first node is chosen."""
        if scene is self._scene:
            return
        had_nodes, before = self.nodeCount() > 0, self.currentNodeID
        self._scene_is_changing = True
        self._scene = scene
        self._observer.observe(scene)
        self._update()
        self._box.setCurrentIndex(0 if self.noneEnabled else -1)
        self._scene_is_changing = False
        first = self.nodeFromIndex(0)
        automatic = first.GetID() if first is not None and not self.noneEnabled else ""
        self.setCurrentNodeID(before if had_nodes else self._requested_id or automatic)
        if scene is not None:
            self._requested_id = ""
        self.setEnabled(scene is not None)

    def currentNode(self) -> slicer.vtkMRMLNode | None:
        return self._scene.GetNodeByID(self.currentNodeID) if self._scene and self.currentNodeID else None

    def currentNodeId(self) -> str:
        return self.currentNodeID

    def setCurrentNode(self, node: slicer.vtkMRMLNode | str | None) -> None:
        self.setCurrentNodeID(node if isinstance(node, str) else (node.GetID() or "") if node is not None else "")

    def setCurrentNodeID(self, node_id: str | None) -> None:
        """None if the node is not in the list."""
        if self._scene is None:
            self._requested_id = node_id or ""
            return
        row = self._rows.row_of(node_id) if node_id else -1
        self._box.setCurrentIndex(row if row >= 0 else 0 if self.noneEnabled else -1)

    def setCurrentNodeIndex(self, index: int) -> None:
        node = self.nodeFromIndex(index)
        self.setCurrentNodeID(node.GetID() if node is not None else "")

    def nodeCount(self) -> int:
        return len(self._rows.node_ids())

    def nodeFromIndex(self, index: int) -> slicer.vtkMRMLNode | None:
        ids = self._rows.node_ids()
        return self._scene.GetNodeByID(ids[index]) if 0 <= index < len(ids) else None

    def addAttribute(self, node_type: str, name: str, value: object = None) -> None:
        """Show nodes of that type only if they have the attribute, with that value if one is given.

        One attribute for each type, as in Slicer: a second call replaces the first.
        """
        self._attributes[node_type] = (name, None if value is None else str(value))
        self._new_node_attributes[name] = "" if value is None else str(value)
        self._update()

    def removeAttribute(self, node_type: str, name: str) -> None:
        self._attributes.pop(node_type, None)
        self._new_node_attributes.pop(name, None)
        self._update()

    def setNodeTypeLabel(self, label: str, node_type: str) -> None:
        self._type_labels[node_type] = label
        self._update()

    def nodeTypeLabel(self, node_type: str) -> str:
        """What a type is called in the entries."""
        shown = self._scene.GetTypeDisplayNameByClassName(node_type) if self._scene and node_type else ""
        return self._type_labels.get(node_type) or shown or "node"

    def addNode(self, node_type: str | None = None) -> slicer.vtkMRMLNode | None:
        """None if the type is not one of nodeTypes."""
        node_type = node_type or next(iter(self._types()), None)
        if self._scene is None or node_type not in self._types():
            return None
        node = self._scene.CreateNodeByClass(node_type)
        node.UnRegister(None)
        name = self._base_names.get(node_type) or node.GetName() or node.GetDefaultNodeNamePrefix()
        node.SetName(self._scene.GetUniqueNameByString(name))
        for attribute, value in self._new_node_attributes.items():
            node.SetAttribute(attribute, value)
        self._scene.AddNode(node)
        if self.selectNodeUponCreation:
            self.setCurrentNode(node)
        self.nodeAddedByUser.emit(node)
        return node

    def removeCurrentNode(self) -> None:
        if self.currentNode() is not None:
            self._scene.RemoveNode(self.currentNode())

    def renameCurrentNode(self) -> None:
        """Asks for the new name."""
        node = self.currentNode()
        if node is None:
            return
        name = self._ask_for_name(f"Rename {self.nodeTypeLabel(node.GetClassName())}", node.GetName())
        if name:
            node.SetName(name)
            self.currentNodeRenamed.emit(name)

    def editCurrentNode(self) -> None:
        self.nodeAboutToBeEdited.emit(self.currentNode())

    def addMenuAction(self, action: QtGui.QAction) -> None:
        self._user_actions.append(action)
        self._update()

    def _ask_for_name(self, title: str, name: str) -> str:
        return QtWidgets.QInputDialog.getText(self, title, "New name:", QtWidgets.QLineEdit.Normal, name)

    def _types(self) -> list[str]:
        return [node_type for node_type in self.nodeTypes if node_type]

    def _accepts(self, node: slicer.vtkMRMLNode) -> bool:
        if node.GetHideFromEditors() and not self.showHidden:
            return False
        for node_type in self._types():
            if not node.IsA(node_type) or (not self.showChildNodeTypes and node_type != node.GetClassName()):
                continue
            if self.showChildNodeTypes and any(node.IsA(hidden) for hidden in self.hideChildNodeTypes):
                return False
            return self._has_attribute(node, node_type)
        return not self._types()

    def _has_attribute(self, node: slicer.vtkMRMLNode, node_type: str) -> bool:
        if node_type not in self._attributes:
            return True
        name, value = self._attributes[node_type]
        found = node.GetAttribute(name)
        return found is not None and value in (None, found)

    def _on_scene(self, event: str, node: slicer.vtkMRMLNode | None) -> None:
        known = node is not None and self._rows.row_of(node.GetID()) >= 0
        if event == "NodeAboutToBeRemovedEvent":
            if known:
                self.nodeAboutToBeRemoved.emit(node)
                self._update(leaving=node)
            return
        self._update()
        if event == "NodeAddedEvent" and not known and self._rows.row_of(node.GetID()) >= 0:
            self.nodeAdded.emit(node)

    def _on_node(self, node: slicer.vtkMRMLNode) -> None:
        """A node may have another name, be hidden or have another attribute; most changes are none of these."""
        shown_name = self._rows.name_of(node.GetID())
        if shown_name != (node.GetName() or "" if self._accepts(node) else None):
            self._update()

    def _update(self, leaving: slicer.vtkMRMLNode | None = None) -> None:
        """Make the rows those of the scene; `leaving` is about to be removed."""
        count = self._scene.GetNumberOfNodes() if self._scene is not None else 0
        every = [self._scene.GetNthNode(index) for index in range(count)]
        nodes = [node for node in every if node is not leaving and self._accepts(node)]
        self._observer.observe_nodes([node for node in every if node is not leaving and self._may_come(node)])
        self._rows.show_none(self.noneDisplay if self.noneEnabled and self._scene is not None else None)
        self._rows.show_actions(self._actions() if self._scene is not None else [])
        self._rows.show_nodes([(node.GetID(), node.GetName() or "") for node in nodes])
        if self.currentNode() is None:
            self.setCurrentNodeID("")

    def _may_come(self, node: slicer.vtkMRMLNode) -> bool:
        """Whether the node is in the list or a change of it could bring it there."""
        return not self._types() or any(node.IsA(node_type) for node_type in self._types())

    def _actions(self) -> list[tuple[str, tuple[str, str]]]:
        """(text, (what to do, its argument)) of the entries below the nodes."""
        types = self._types()
        label = self.nodeTypeLabel(types[0] if len(types) == 1 else "")
        actions = []
        if self.renameEnabled:
            actions.append((f"Rename current {label}", ("rename", "")))
        if self.editEnabled:
            actions.append((f"Edit current {label}", ("edit", "")))
        for node_type in types if self.addEnabled else []:
            actions.append((f"Create new {self.nodeTypeLabel(node_type)}", ("create", node_type)))
            if self.renameEnabled:
                actions.append((f"Create new {self.nodeTypeLabel(node_type)} as...", ("create as", node_type)))
        if self.removeEnabled:
            actions.append((f"Delete current {label}", ("delete", "")))
        return actions + [(action.text(), ("user", str(i))) for i, action in enumerate(self._user_actions)]

    def _on_current_text(self) -> None:
        """As in Slicer this also comes when the current node gets another name."""
        if self._scene_is_changing:
            return
        index, node = self._box.currentIndex(), self.currentNode()
        if node is None and index != (0 if self.noneEnabled else -1):  # on a separator, because a node has gone
            last = self.nodeFromIndex(self.nodeCount() - 1)
            if last is not None:
                self.setCurrentNode(last)
            return
        self.currentNodeChanged.emit(node)
        self._validity_changed.emit(node is not None)
        self.currentNodeIDChanged.emit(node.GetID() if node is not None else "")

    def _on_activated(self, row: int) -> None:
        if self._box.itemData(row, NODE_ID) is not None:
            self.nodeActivated.emit(self.currentNode())

    def _on_clicked(self, index: QtCore.QModelIndex) -> None:
        action = self._rows.action_of(index.row())
        if action is not None:
            self._box.hidePopup()
            self._run(*action)

    def _run(self, action: str, argument: str) -> None:
        if action == "create":
            self._create(argument, "")
        elif action == "create as":
            name = self._ask_for_name(f"Create new {self.nodeTypeLabel(argument)}", "")
            if name:
                self._create(argument, name)
        elif action == "user":
            self._user_actions[int(argument)].trigger()
        else:
            {"rename": self.renameCurrentNode, "edit": self.editCurrentNode, "delete": self.removeCurrentNode}[action]()

    def _create(self, node_type: str, name: str) -> None:
        node = self.addNode(node_type)
        if node is None:
            return
        if name:
            node.SetName(name)
        self.setCurrentNode(node)
        self.nodeAddedByUserAction.emit(node)

    def _set_base_name(self, name: str) -> None:
        """For the node types there are now, as in Slicer: set nodeTypes first."""
        self._base_names.update(dict.fromkeys(self._types(), name))

    currentNodeID = QtCore.Property(str, lambda self: self._box.currentData(NODE_ID) or "", setCurrentNodeID)
    nodeTypes = field("QStringList", [], _update)
    showHidden = field(bool, False, _update)
    showChildNodeTypes = field(bool, True, _update)
    hideChildNodeTypes = field("QStringList", [], _update)
    noneEnabled = field(bool, False, _update)
    noneDisplay = field(str, "None", _update)
    addEnabled = field(bool, True, _update)
    removeEnabled = field(bool, True, _update)
    editEnabled = field(bool, False, _update)
    renameEnabled = field(bool, False, _update)
    selectNodeUponCreation = field(bool, True)
    interactionNodeSingletonTag = field(str, "Singleton")
    baseName = QtCore.Property(
        str, lambda self: self._base_names.get(next(iter(self._types()), ""), ""), _set_base_name
    )
