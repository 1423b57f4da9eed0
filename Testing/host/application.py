"""Stand-in for ``slicer.app``, ``slicer.modules`` and ``slicer.moduleNames``; afterwards ``slicer.util`` works.

Qt classes with the names of Slicer's own; outside the host they show what allowed_names/application.json allows.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import slicer

from .fields import field
from .io_manager import qSlicerCoreIOManager
from .mrml import MrmlHost
from .qt_binding import QtCore, QtWidgets
from .stand_ins import stand_in

DOCUMENTATION_URL = "https://slicer.readthedocs.io/en/latest/"


@stand_in()
class qSlicerLoadableModule(QtCore.QObject):
    """A module: what ``slicer.modules.volumes`` is."""

    path = field(str, "")
    title = field(str, "")

    def __init__(self, name: str, logic) -> None:
        super().__init__()
        self.setObjectName(name)
        self._logic = logic
        self.title = name

    def logic(self):
        return self._logic

    def mrmlScene(self):
        return self._logic.GetMRMLScene()

    def widgetRepresentation(self):
        return None


@stand_in()
class qSlicerModuleFactoryManager(QtCore.QObject):
    def loadedModuleNames(self) -> list[str]:
        return sorted(name for name in vars(slicer.moduleNames) if not name.startswith("_"))


@stand_in()
class qSlicerModuleManager(QtCore.QObject):
    moduleLoaded = QtCore.Signal(str)
    moduleAboutToBeUnloaded = QtCore.Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._factory_manager = qSlicerModuleFactoryManager()

    def factoryManager(self) -> qSlicerModuleFactoryManager:
        return self._factory_manager

    def module(self, name: str):
        return getattr(slicer.modules, name.lower(), None)

    def modulesNames(self) -> list[str]:
        return self._factory_manager.loadedModuleNames()


@stand_in()
class qSlicerApplication(QtCore.QObject):
    """``slicer.app``. It is always in testing mode: no dialogs."""

    startupCompleted = QtCore.Signal()
    mrmlSceneChanged = QtCore.Signal(object)
    renderPaused = QtCore.Signal(bool)
    aboutToQuit = QtCore.Signal()

    applicationName = field(str, "Slicer")
    majorVersion = field(int, 5)
    minorVersion = field(int, 13)
    revision = field(str, "0")
    temporaryPath = field(str, "")
    slicerHome = field(str, "")
    documentationBaseUrl = field(str, DOCUMENTATION_URL)

    # In Slicer this object is the QApplication itself.
    activeWindow = staticmethod(QtWidgets.QApplication.activeWindow)
    allWidgets = staticmethod(QtWidgets.QApplication.allWidgets)
    clipboard = staticmethod(QtWidgets.QApplication.clipboard)
    focusWidget = staticmethod(QtWidgets.QApplication.focusWidget)
    font = staticmethod(QtWidgets.QApplication.font)
    keyboardModifiers = staticmethod(QtWidgets.QApplication.keyboardModifiers)
    mouseButtons = staticmethod(QtWidgets.QApplication.mouseButtons)
    overrideCursor = staticmethod(QtWidgets.QApplication.overrideCursor)
    palette = staticmethod(QtWidgets.QApplication.palette)
    processEvents = staticmethod(QtWidgets.QApplication.processEvents)
    restoreOverrideCursor = staticmethod(QtWidgets.QApplication.restoreOverrideCursor)
    setOverrideCursor = staticmethod(QtWidgets.QApplication.setOverrideCursor)
    style = staticmethod(QtWidgets.QApplication.style)
    topLevelWidgets = staticmethod(QtWidgets.QApplication.topLevelWidgets)
    translate = staticmethod(QtWidgets.QApplication.translate)

    def __init__(self, host: MrmlHost, scratch: Path) -> None:
        super().__init__()
        self._host = host
        self._io_manager = qSlicerCoreIOManager(host)
        self._module_manager = qSlicerModuleManager()
        self._layout_manager = None
        self._settings = QtCore.QSettings()
        self.temporaryPath = str(scratch)
        self.slicerHome = str(scratch)

    def applicationLogic(self):
        return self._host.application_logic

    def moduleLogic(self, name: str):
        return self._host.application_logic.GetModuleLogic(name)

    def mrmlScene(self):
        return self._host.scene

    def coreIOManager(self) -> qSlicerCoreIOManager:
        return self._io_manager

    ioManager = coreIOManager

    def moduleManager(self) -> qSlicerModuleManager:
        return self._module_manager

    def layoutManager(self):
        return self._layout_manager

    def setLayoutManager(self, manager) -> None:
        self._layout_manager = manager

    def settings(self) -> QtCore.QSettings:
        return self._settings

    userSettings = revisionUserSettings = defaultSettings = settings

    def testingEnabled(self) -> bool:
        return True

    def pauseRender(self) -> None:
        self.setRenderPaused(True)

    def resumeRender(self) -> None:
        self.setRenderPaused(False)

    def setRenderPaused(self, paused: bool) -> None:
        if self._layout_manager is not None:
            self._layout_manager.setRenderPaused(paused)
        self.renderPaused.emit(paused)

    def moduleDocumentationUrl(self, name: str) -> str:
        return f"{DOCUMENTATION_URL}user_guide/modules/{name.lower()}.html"


def install(host: MrmlHost, scratch: Path) -> qSlicerApplication:
    """Set ``slicer.app``, ``slicer.mrmlScene``, ``slicer.modules`` and ``slicer.moduleNames``. Once per process."""
    application = qSlicerApplication(host, scratch)
    slicer.app = application
    slicer.mrmlScene = host.scene
    for name in ("modules", "moduleNames"):
        module = ModuleType(f"slicer.{name}")
        setattr(slicer, name, module)
        sys.modules[module.__name__] = module
    for name, logic in host.logics.items():
        register(qSlicerLoadableModule(name, logic))
    return application


def register(module: QtCore.QObject) -> None:
    """Make a module known as ``slicer.modules.<name in lower case>``."""
    name = module.objectName()
    setattr(slicer.modules, name.lower(), module)
    setattr(slicer.moduleNames, name, name)


def unregister(name: str) -> None:
    """Forget a module and what the factory has set for it."""
    for attribute in (name.lower(), f"{name}Instance", f"{name}Widget"):
        if hasattr(slicer.modules, attribute):
            delattr(slicer.modules, attribute)
    delattr(slicer.moduleNames, name)
