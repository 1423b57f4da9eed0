"""Stand-in for qMRMLSegmentSelectorWidget: a segmentation and one of its segments."""

from __future__ import annotations

import slicer

from .mrml_widget import qMRMLWidget
from .node_combo_box import qMRMLNodeComboBox
from .qt_binding import QtCore, QtWidgets
from .scene_observer import EventObserver
from .stand_ins import stand_in

NONE = "None"
SEGMENT_EVENTS = (
    slicer.vtkSegmentation.SegmentAdded,
    slicer.vtkSegmentation.SegmentRemoved,
    slicer.vtkSegmentation.SegmentModified,
)


@stand_in(_validity_changed="currentNodeChanged(bool)")
class qMRMLSegmentSelectorWidget(qMRMLWidget):  # noqa: N801
    """Choosing several segments is left out: multiSelection only makes the list empty.

    As in Slicer, an ID stays current after its segment is gone if nothing takes its place, and every segment event
    fills the list again.
    """

    currentNodeChanged = QtCore.Signal(object)
    _validity_changed = QtCore.Signal(bool)
    currentSegmentChanged = QtCore.Signal(str)
    segmentSelectionChanged = QtCore.Signal("QStringList")
    nodeAboutToBeEdited = QtCore.Signal(object)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._segment_id = ""
        self._segmentation_node: slicer.vtkMRMLSegmentationNode | None = None
        self._node_box = qMRMLNodeComboBox()
        self._node_box.nodeTypes = ["vtkMRMLSegmentationNode"]
        self._node_box.addEnabled = False
        self._node_box.renameEnabled = True
        self._segment_box = QtWidgets.QComboBox()
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._node_box)
        layout.addWidget(self._segment_box)
        self._observer = EventObserver(self, self._fill)
        self._node_box.currentNodeChanged.connect(self._on_node)
        self._node_box.nodeAboutToBeEdited.connect(self.nodeAboutToBeEdited.emit)
        self._segment_box.currentIndexChanged.connect(self._on_segment)
        self._fill()

    def setMRMLScene(self, scene: slicer.vtkMRMLScene | None) -> None:
        super().setMRMLScene(scene)
        self._node_box.setMRMLScene(scene)

    def currentNode(self) -> slicer.vtkMRMLSegmentationNode | None:
        return self._node_box.currentNode()

    def currentNodeID(self) -> str:
        return self._node_box.currentNodeID

    def setCurrentNode(self, node: slicer.vtkMRMLNode | None) -> None:
        self._node_box.setCurrentNode(node)

    def setCurrentNodeID(self, node_id: str) -> None:
        self._node_box.setCurrentNodeID(node_id)

    def currentSegmentID(self) -> str:
        return self._segment_id

    def setCurrentSegmentID(self, segment_id: str) -> None:
        """Nothing happens if there is no such segment."""
        row = 0 if not segment_id and self._none_enabled() else self._segment_box.findData(segment_id)
        if row >= 0:
            self._segment_box.setCurrentIndex(row)

    def segmentIDs(self) -> list[str]:
        """As in Slicer the IDs of a list for several segments, which this selector does not have."""
        return []

    def _none_enabled(self) -> bool:
        return self._node_box.noneEnabled

    def _set_none_enabled(self, enabled: bool) -> None:
        self._node_box.noneEnabled = enabled
        self._fill()

    def _on_node(self, node: slicer.vtkMRMLNode | None) -> None:
        if node is not self._segmentation_node:
            self._segmentation_node = node
            self._observer.observe(node, SEGMENT_EVENTS if node is not None else ())
            self._fill()
        self.currentNodeChanged.emit(node)
        self._validity_changed.emit(node is not None)

    def _fill(self) -> None:
        segmentation = self._segmentation_node.GetSegmentation() if self._segmentation_node is not None else None
        ids = list(segmentation.GetSegmentIDs()) if segmentation is not None else []
        blocker = QtCore.QSignalBlocker(self._segment_box)
        self._segment_box.clear()
        self._segment_box.setVisible(bool(ids))
        if not ids:
            return
        if self._none_enabled():
            self._segment_box.addItem(NONE, NONE)
        for segment_id in ids:
            self._segment_box.addItem(segmentation.GetSegment(segment_id).GetName(), segment_id)
        keeps_none = self._none_enabled() and not self._segment_id
        self._segment_box.setCurrentIndex(-1)
        if keeps_none or self._segment_id in ids:
            self.setCurrentSegmentID(self._segment_id)
            return
        blocker.unblock()
        self._segment_box.setCurrentIndex(1 if self._none_enabled() else 0)

    def _on_segment(self, row: int) -> None:
        if self._segmentation_node is None:
            return
        segment_id = self._segment_box.itemData(row)
        self._segment_id = "" if segment_id in (None, NONE) else segment_id
        self.currentSegmentChanged.emit(self._segment_id)

    noneEnabled = QtCore.Property(bool, _none_enabled, _set_none_enabled)
    editEnabled = QtCore.Property(
        bool, lambda self: self._node_box.editEnabled, lambda self, v: setattr(self._node_box, "editEnabled", v)
    )
    selectNodeUponCreation = QtCore.Property(
        bool,
        lambda self: self._node_box.selectNodeUponCreation,
        lambda self, v: setattr(self._node_box, "selectNodeUponCreation", v),
    )
    segmentationNodeSelectorVisible = QtCore.Property(
        bool, lambda self: self._node_box.isVisible(), lambda self, v: self._node_box.setVisible(v)
    )
