"""Loads scripted modules as Slicer's module factory does."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import slicer

from . import application
from .application import qSlicerLoadableModule
from .fields import field
from .qt_binding import QtCore, QtWidgets
from .stand_ins import stand_in


@stand_in()
class qSlicerScriptedLoadableModule(qSlicerLoadableModule):
    """``slicer.modules.<name>`` of a scripted module, and the `parent` of its Python class."""

    categories = field("QStringList", [])
    contributors = field("QStringList", [])
    dependencies = field("QStringList", [])
    associatedNodeTypes = field("QStringList", [])
    helpText = field(str, "")
    acknowledgementText = field(str, "")
    extensions = field("QVariantMap", {})
    icon = field("QIcon", None)
    hidden = field(bool, False)
    index = field(int, -1)

    def __init__(self, path: Path) -> None:
        super().__init__(path.stem, slicer.vtkSlicerScriptedLoadableModuleLogic())
        self.path = str(path)
        self.panel: qSlicerScriptedLoadableModuleWidget | None = None

    def widgetRepresentation(self) -> qSlicerScriptedLoadableModuleWidget:
        if self.panel is None:
            self.panel = qSlicerScriptedLoadableModuleWidget(self)
            self.panel.reload()
            self.panel.setMRMLScene(slicer.mrmlScene)
        return self.panel


@stand_in()
class qSlicerScriptedLoadableModuleWidget(QtWidgets.QWidget):
    """The `parent` of the Python class of a panel."""

    mrmlSceneChanged = QtCore.Signal(object)

    def __init__(self, module: qSlicerScriptedLoadableModule) -> None:
        super().__init__()
        QtWidgets.QVBoxLayout(self)
        self.setObjectName(f"{module.objectName()}ModuleWidget")
        self.setWindowTitle(module.title)
        self._module = module
        self._scene = None
        self._entered = False
        self._python = None

    def reload(self) -> None:
        """Make the Python object anew from its class as it is now and set it up."""
        name = self._module.objectName()
        self._python = getattr(sys.modules[name], f"{name}Widget")(self)
        setattr(slicer.modules, f"{name}Widget", self._python)
        self._python.setup()

    def self(self):
        return self._python

    def enter(self) -> None:
        self._entered = True
        getattr(self._python, "enter", lambda: None)()

    def exit(self) -> None:
        self._entered = False
        getattr(self._python, "exit", lambda: None)()

    def setMRMLScene(self, scene) -> None:
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)

    isEntered = QtCore.Property(bool, lambda self: self._entered)
    moduleName = QtCore.Property(str, lambda self: self._module.objectName())


def load_module(path: Path) -> qSlicerScriptedLoadableModule:
    """Import the file, make the module object and register it. The panel is made when it is asked for first."""
    path = Path(path).absolute()
    name = path.stem
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    specification = importlib.util.spec_from_file_location(name, path)
    sys.modules[name] = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(sys.modules[name])
    module = qSlicerScriptedLoadableModule(path)
    setattr(slicer.modules, f"{name}Instance", getattr(sys.modules[name], name)(module))
    application.register(module)
    slicer.app.moduleManager().moduleLoaded.emit(name)
    return module


def unload_module(module: qSlicerScriptedLoadableModule) -> None:
    """What happens to a module when the application closes: cleanup(), then its widgets are destroyed.

    Its parameter node goes too: closing a scene keeps it, and the next test must not find it.
    """
    name = module.objectName()
    slicer.app.moduleManager().moduleAboutToBeUnloaded.emit(name)
    application.unregister(name)
    slicer.mrmlScene.RemoveNode(slicer.mrmlScene.GetSingletonNode(name, "vtkMRMLScriptedModuleNode"))
    if module.panel is not None:
        module.panel.deleteLater()
        QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.DeferredDelete)


def install() -> None:
    for kind in (qSlicerScriptedLoadableModule, qSlicerScriptedLoadableModuleWidget):
        setattr(slicer, kind.__name__, kind)
