"""Stand-ins for the views of tables and of segment lists, showing the real nodes."""

from __future__ import annotations

import slicer
import vtk

from .fields import field
from .mrml_widget import qMRMLWidget
from .qt_binding import QtCore, QtGui, QtWidgets
from .scene_observer import EventObserver
from .segment_selector import SEGMENT_EVENTS
from .stand_ins import stand_in


@stand_in()
class qMRMLTableView(QtWidgets.QTableView):  # noqa: N801
    """Shows a table node. Cells cannot be edited; locked rows and columns and transposing have no effect."""

    mrmlSceneChanged = QtCore.Signal(object)
    _scene: slicer.vtkMRMLScene | None = None
    _view_node: slicer.vtkMRMLTableViewNode | None = None
    _table_node: slicer.vtkMRMLTableNode | None = None

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setModel(QtGui.QStandardItemModel(self))
        self.setEditTriggers(QtWidgets.QAbstractItemView.NoEditTriggers)
        self._observer = EventObserver(self, self._fill)

    def mrmlScene(self) -> slicer.vtkMRMLScene | None:
        return self._scene

    def setMRMLScene(self, scene: slicer.vtkMRMLScene | None) -> None:
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)

    def mrmlTableViewNode(self) -> slicer.vtkMRMLTableViewNode | None:
        return self._view_node

    def setMRMLTableViewNode(self, node: slicer.vtkMRMLTableViewNode | None) -> None:
        self._view_node = node
        self.setMRMLTableNode(node.GetTableNode() if node is not None else None)

    def mrmlTableNode(self) -> slicer.vtkMRMLTableNode | None:
        return self._table_node

    def setMRMLTableNode(self, node: slicer.vtkMRMLTableNode | None) -> None:
        self._table_node = node
        self._observer.observe(node, [vtk.vtkCommand.ModifiedEvent])
        self._fill()

    def _fill(self) -> None:
        model = self.model()
        model.clear()
        table = self._table_node.GetTable() if self._table_node is not None else None
        if table is None:
            return
        columns, rows = table.GetNumberOfColumns(), table.GetNumberOfRows()
        model.setHorizontalHeaderLabels([table.GetColumnName(column) or "" for column in range(columns)])
        for row in range(rows):
            cells = (table.GetValue(row, column).ToString() for column in range(columns))
            model.appendRow([QtGui.QStandardItem(cell) for cell in cells])

    transposed = field(bool, False)
    firstRowLocked = field(bool, False)
    firstColumnLocked = field(bool, False)


@stand_in()
class qMRMLSegmentsTableView(qMRMLWidget):  # noqa: N801
    """The names of the segments; the other columns are not drawn."""

    selectionChanged = QtCore.Signal(QtCore.QItemSelection, QtCore.QItemSelection)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._node: slicer.vtkMRMLSegmentationNode | None = None
        self._list = QtWidgets.QListWidget()
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._list)
        self._list.selectionModel().selectionChanged.connect(self.selectionChanged.emit)
        self._observer = EventObserver(self, self._fill)

    def segmentationNode(self) -> slicer.vtkMRMLSegmentationNode | None:
        return self._node

    def setSegmentationNode(self, node: slicer.vtkMRMLSegmentationNode | None) -> None:
        self._node = node
        self._observer.observe(node, SEGMENT_EVENTS)
        self._fill()

    def displayedSegmentIDs(self) -> list[str]:
        return [self._list.item(row).data(QtCore.Qt.UserRole) for row in range(self._list.count())]

    def selectedSegmentIDs(self) -> list[str]:
        return [item.data(QtCore.Qt.UserRole) for item in self._list.selectedItems()]

    def setSelectedSegmentIDs(self, segment_ids: list[str]) -> None:
        for row in range(self._list.count()):
            item = self._list.item(row)
            item.setSelected(item.data(QtCore.Qt.UserRole) in segment_ids)

    def clearSelection(self) -> None:
        self._list.clearSelection()

    def _fill(self) -> None:
        selected = self.selectedSegmentIDs()
        self._list.clear()
        segmentation = self._node.GetSegmentation() if self._node is not None else None
        for segment_id in segmentation.GetSegmentIDs() if segmentation is not None else ():
            item = QtWidgets.QListWidgetItem(segmentation.GetSegment(segment_id).GetName())
            item.setData(QtCore.Qt.UserRole, segment_id)
            self._list.addItem(item)
        self.setSelectedSegmentIDs(selected)

    def _set_selection_mode(self, mode: int) -> None:
        self._list.setSelectionMode(QtWidgets.QAbstractItemView.SelectionMode(mode))

    selectionMode = QtCore.Property(int, lambda self: int(self._list.selectionMode()), _set_selection_mode)
    segmentCount = QtCore.Property(int, lambda self: self._list.count())
    headerVisible = field(bool, True)
    visibilityColumnVisible = field(bool, True)
    colorColumnVisible = field(bool, True)
    opacityColumnVisible = field(bool, True)
    statusColumnVisible = field(bool, False)
    readOnly = field(bool, False)
    filterBarVisible = field(bool, False)
