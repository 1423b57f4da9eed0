"""Stand-in for ``slicer.parameterNodeWrapper``: typed attributes on a vtkMRMLScriptedModuleNode, bound to widgets.

It knows the types and widgets that `parameter_storage` and `parameter_widgets` name, fewer than Slicer's. What it knows
behaves as in Slicer and is stored in the same way; the tests run with both.
"""

from __future__ import annotations

import logging
import types
import typing
import weakref

import slicer
import slicer.util
import vtk

from . import parameter_validators
from .parameter_storage import Storage, make_storage
from .parameter_validators import Decimals, Default, SingleStep, Validator
from .parameter_widgets import Binding, bind
from .qt_binding import QtWidgets

WIDGET_PROPERTY = "SlicerParameterName"


def parameter_node_wrapper(cls=None):
    """Class decorator: the annotations of the class become parameters."""
    return _wrap if cls is None else _wrap(cls)


def as_module() -> types.ModuleType:
    """The module that modules import as ``slicer.parameterNodeWrapper``."""
    module = types.ModuleType("slicer.parameterNodeWrapper", __doc__)
    module.parameterNodeWrapper = parameter_node_wrapper
    module.isParameterNodeWrapper = lambda thing: getattr(thing, "_is_parameter_node_wrapper", False)
    module.SlicerParameterNamePropertyName = WIDGET_PROPERTY
    for name in ("Validator", "NotNone", "WithinRange", "Minimum", "Maximum", "Choice", "Exclude", "Default"):
        setattr(module, name, getattr(parameter_validators, name))
    module.Decimals, module.SingleStep = Decimals, SingleStep
    return module


class Parameters:
    """Reads and writes the parameters of one node. Values are kept and read again after each change of the node."""

    def __init__(self, node, storages: dict[str, Storage], defaults: dict[str, Default], prefix: str) -> None:
        self._node = node
        self._storages = storages
        self._defaults = defaults
        self._prefix = prefix
        for name, storage in storages.items():
            if not storage.contains(node, prefix + name):
                storage.write(node, prefix + name, defaults[name].value)
        self._values = {name: self._stored(name) for name in storages}
        self._writing: str | None = None
        # A weak reference, because a wrapper that nobody holds any more has to stop observing the node.
        itself = weakref.ref(self)
        self._tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: itself()._read_again())

    def __del__(self) -> None:
        if hasattr(self, "_tag"):
            self._node.RemoveObserver(self._tag)

    def read(self, name: str):
        return self._values[name]

    def write(self, name: str, value) -> None:
        self._writing = name
        try:
            with slicer.util.NodeModify(self._node):
                self._storages[name].write(self._node, self._prefix + name, value)
                self._values[name] = self._stored(name)
        finally:
            self._writing = None

    def _stored(self, name: str):
        if not self._storages[name].contains(self._node, self._prefix + name):
            self._storages[name].write(self._node, self._prefix + name, self._defaults[name].value)
        return self._storages[name].read(self._node, self._prefix + name)

    def _read_again(self) -> None:
        for name in self._storages:
            if name != self._writing:
                self._values[name] = self._stored(name)


class Wrapper:
    """The methods that the decorator gives to a class; their names are Slicer's."""

    _is_parameter_node_wrapper = True

    def _initialize(self, parameterNode, prefix: str | None = None) -> None:
        self.parameterNode = parameterNode
        self._parameters = Parameters(parameterNode, self._storages, self._defaults, prefix or "")
        self._bindings: dict[int, dict[str, Binding]] = {}
        self._binding_observers: dict[int, int] = {}
        self._updating_widgets = False

    def getValue(self, name: str):
        _require_parameter(self, name)
        return self._parameters.read(name)

    def setValue(self, name: str, value) -> None:
        _require_parameter(self, name)
        self._parameters.write(name, value)

    def default(self, name: str) -> Default:
        _require_parameter(self, name)
        return self._defaults[name]

    def isCached(self, name: str) -> bool:
        _require_parameter(self, name)
        return True

    def dataType(self, name: str):
        _require_parameter(self, name)
        return self._annotations[name]

    def connectGui(self, gui) -> int:
        """Bind all widgets with the property SlicerParameterName; gui is a widget or what childWidgetVariables gave.

        Returns a number for `disconnectGui`. Raises ValueError for a name that is no parameter and RuntimeError for a
        widget that cannot show its parameter.
        """
        is_widget = isinstance(gui, QtWidgets.QWidget)
        widgets = gui.findChildren(QtWidgets.QWidget) if is_widget else vars(gui).values()
        named = {widget.property(WIDGET_PROPERTY): widget for widget in widgets if widget.property(WIDGET_PROPERTY)}
        return self.connectParametersToGui(named)

    def connectParametersToGui(self, widgets: dict) -> int:
        for name in widgets:
            _require_parameter(self, name)
        bindings = {name: bind(widget, self._annotations[name]) for name, widget in widgets.items()}
        tag = max(self._bindings, default=-1) + 1
        self._bindings[tag] = bindings
        for name, binding in bindings.items():
            binding.write(self.getValue(name))
            binding.connect(_widget_to_parameter(self, name, binding))
        self._binding_observers[tag] = self.AddObserver(
            vtk.vtkCommand.ModifiedEvent, lambda *_: _parameters_to_widgets(self)
        )
        return tag

    def disconnectGui(self, tag: int) -> None:
        for binding in self._bindings.pop(tag, {}).values():
            binding.disconnect()
        if tag in self._binding_observers:
            self.RemoveObserver(self._binding_observers.pop(tag))

    def StartModify(self):
        return self.parameterNode.StartModify()

    def EndModify(self, previous):
        return self.parameterNode.EndModify(previous)

    def AddObserver(self, event, callback, priority: float = 0.0) -> int:
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)

    def Modified(self) -> None:
        self.parameterNode.Modified()


def _wrap(cls):
    annotations = typing.get_type_hints(cls, include_extras=True)
    storages, defaults = {}, {}
    for name, annotation in annotations.items():
        try:
            storages[name] = make_storage(annotation)
        except Exception as error:
            raise Exception(f"{cls.__name__}.{name} cannot be a parameter.") from error
        defaults[name] = _default_of(cls, name, annotation, storages[name])
        setattr(cls, name, _parameter(name))
    members = {name: value for name, value in vars(Wrapper).items() if not name.startswith("__")}
    members |= {"_storages": storages, "_defaults": defaults, "_annotations": annotations, "allParameters": storages}
    for name, value in members.items():
        if hasattr(cls, name):
            raise ValueError(f"The name '{name}' is reserved for the parameter node wrapper.")
        setattr(cls, name, value)
    cls.__init__ = Wrapper._initialize
    return cls


def _parameter(name: str) -> property:
    return property(lambda self: self._parameters.read(name), lambda self, value: self._parameters.write(name, value))


def _default_of(cls, name: str, annotation, storage: Storage) -> Default:
    details = typing.get_args(typing.Annotated[annotation, None])[1:-1]
    given = [detail for detail in details if isinstance(detail, Default)]
    unused = [detail for detail in details if not isinstance(detail, (Default, Validator))]
    if unused:
        logging.warning(f"Unused annotations: {unused}")
    if hasattr(cls, name):
        return Default(getattr(cls, name))
    return given[0] if given else Default(storage.default())


def _require_parameter(wrapper, name: str) -> None:
    if name not in wrapper.allParameters:
        raise ValueError(f"There is no parameter '{name}'; there are {', '.join(wrapper.allParameters)}.")


def _widget_to_parameter(wrapper, name: str, binding: Binding):
    def changed() -> None:
        with slicer.util.NodeModify(wrapper):
            if not wrapper._updating_widgets:
                wrapper.setValue(name, binding.read())

    return changed


def _parameters_to_widgets(wrapper) -> None:
    if wrapper._updating_widgets:
        return
    wrapper._updating_widgets = True
    try:
        with slicer.util.NodeModify(wrapper):
            for bindings in wrapper._bindings.values():
                for name, binding in bindings.items():
                    binding.write(wrapper.getValue(name))
    finally:
        wrapper._updating_widgets = False
