"""Stand-ins for ``slicer.ScriptedLoadableModule`` and ``slicer.i18n``: the base classes of a scripted module.

Written from the documentation of Slicer's; with SLICER_SOURCE the real files take their place (see `slicer_sources`).
"""

from __future__ import annotations

import importlib
import os
import types
import unittest

import slicer
import slicer.util

from . import signals
from .qt_binding import QtGui, QtWidgets

ABOUT_TO_BE_UNLOADED = "moduleAboutToBeUnloaded(QString)"


def modules() -> dict[str, types.ModuleType]:
    """The two Python modules by the names they are imported with."""
    base_classes = types.ModuleType("slicer.ScriptedLoadableModule")
    base_classes.__all__ = []
    for kind in (
        ScriptedLoadableModule,
        ScriptedLoadableModuleWidget,
        ScriptedLoadableModuleLogic,
        ScriptedLoadableModuleTest,
    ):
        setattr(base_classes, kind.__name__, kind)
        base_classes.__all__.append(kind.__name__)
    i18n = types.ModuleType("slicer.i18n")
    i18n.tr = lambda text: slicer.app.translate("", text)
    i18n.translate = lambda context, text: slicer.app.translate(context, text)
    return {base_classes.__name__: base_classes, i18n.__name__: i18n}


def _name_without(ending: str, instance: object) -> str:
    return type(instance).__name__.removesuffix(ending)


class ScriptedLoadableModule:
    """What the application knows of a module before it is opened. parent: the qSlicerScriptedLoadableModule."""

    def __init__(self, parent) -> None:
        super().__init__()
        self.parent = parent
        self.moduleName = type(self).__name__
        parent.title = ""
        parent.categories = []
        parent.dependencies = []
        parent.contributors = []
        parent.helpText = ""
        parent.acknowledgementText = ""
        for ending in ("svg", "png"):
            icon = self.resourcePath(f"Icons/{self.moduleName}.{ending}")
            if os.path.isfile(icon):
                parent.icon = QtGui.QIcon(icon)
                break
        slicer.selfTests = getattr(slicer, "selfTests", {})
        slicer.selfTests[self.moduleName] = self.runTest

    def resourcePath(self, filename: str) -> str:
        return os.path.join(os.path.dirname(self.parent.path), "Resources", filename)

    def getDefaultModuleDocumentationLink(self, docPage: str | None = None) -> str:
        application = slicer.app
        page = application.documentationBaseUrl + docPage if docPage else ""
        return f'<p><a href="{page or application.moduleDocumentationUrl(self.moduleName)}">Documentation</a></p>'

    def runTest(self, msec: int = 100, **options) -> None:
        test_class = getattr(importlib.import_module(type(self).__module__), self.moduleName + "Test")
        test = test_class()
        test.messageDelay = msec
        test.runTest(**options)


class ScriptedLoadableModuleWidget:
    """The panel. parent: the qSlicerScriptedLoadableModuleWidget, or None for a window of its own."""

    def __init__(self, parent=None) -> None:
        super().__init__()
        self.moduleName = _name_without("Widget", self)
        self.developerMode = slicer.util.settingsValue("Developer/DeveloperMode", False, converter=slicer.util.toBool)
        self.parent = parent
        if parent is None:
            self.parent = slicer.qMRMLWidget()
            QtWidgets.QVBoxLayout(self.parent)
            self.parent.setMRMLScene(slicer.mrmlScene)
        self.layout = self.parent.layout()
        if parent is None:
            self.setup()
            self.parent.show()
        signals.connect(slicer.app.moduleManager(), ABOUT_TO_BE_UNLOADED, self._onModuleAboutToBeUnloaded)

    def resourcePath(self, filename: str) -> str:
        return os.path.join(os.path.dirname(slicer.util.modulePath(self.moduleName)), "Resources", filename)

    def setup(self) -> None:
        self.setupDeveloperSection()

    def cleanup(self) -> None:
        """For modules to override: called before the panel goes for good."""

    def setupDeveloperSection(self) -> None:
        if not self.developerMode:
            return
        self.reloadButton = QtWidgets.QPushButton("Reload")
        signals.connect(self.reloadButton, "clicked()", self.onReload)
        self.layout.addWidget(self.reloadButton)

    def onReload(self) -> None:
        slicer.util.reloadScriptedModule(self.moduleName)

    def onReloadAndTest(self, **options) -> None:
        with slicer.util.tryWithErrorDisplay("Reload and Test failed."):
            self.onReload()
            slicer.selfTests[self.moduleName](**options)

    def _onModuleAboutToBeUnloaded(self, name: str) -> None:
        if name == self.moduleName:
            self.cleanup()
            signals.disconnect(slicer.app.moduleManager(), ABOUT_TO_BE_UNLOADED, self._onModuleAboutToBeUnloaded)


class ScriptedLoadableModuleLogic:
    def __init__(self, parent=None) -> None:
        super().__init__()
        self.moduleName = _name_without("Logic", self)
        self.isSingletonParameterNode = True

    def getParameterNode(self):
        """The module's parameter node of the scene, made if there is none."""
        existing = self.getAllParameterNodes()
        if self.isSingletonParameterNode:
            node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
            if node is not None and node.GetAttribute("ModuleName") != self.moduleName:
                node.SetAttribute("ModuleName", self.moduleName)  # closing a scene takes the attribute away
            existing = [node] if node is not None else []
        return existing[0] if existing else slicer.mrmlScene.AddNode(self.createParameterNode())

    def getAllParameterNodes(self) -> list:
        nodes = slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode")
        return [node for node in nodes if node.GetAttribute("ModuleName") == self.moduleName]

    def createParameterNode(self):
        node = slicer.vtkMRMLScriptedModuleNode()
        if self.isSingletonParameterNode:
            node.SetSingletonTag(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """runTest calls every method with "test" in its name, as Slicer's does."""

    def __init__(self, *arguments, **options) -> None:
        self.moduleTestNames = []
        super().__init__(*arguments, **options)
        super(unittest.TestCase, self).__init__()  # classes that are mixed in come after unittest.TestCase
        self.messageDelay = 100
        if not self.moduleTestNames:
            self.moduleTestNames = [name for name in dir(self) if "test" in name and callable(getattr(self, name))]

    def delayDisplay(self, message: str, requestedDelay=None, msec=None) -> None:
        slicer.util.delayDisplay(message, self.messageDelay)

    def runTest(self) -> None:
        self.setUpClass()
        for name in self.moduleTestNames:
            self.setUp()
            getattr(self, name)()
            self.tearDown()
        self.tearDownClass()
