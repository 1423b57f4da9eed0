"""Slicer without Slicer: the scene, the application, widgets and views, ready for a scripted module.

host = start(scratch_folder)
widget = host.load_module(path_of_module_py)    # the module's widget object, shown as in Slicer
"""

from __future__ import annotations

import traceback
from pathlib import Path

import slicer
import slicer.util

from . import application, ctk_widgets, mrml_widgets, pythonqt, scripted_modules, slicer_packages
from .layout import Views, qSlicerLayoutManager
from .main_window import PANEL_WIDTH, MainWindow, set_appearance
from .mrml import MrmlHost
from .qt_binding import QtCore
from .views import opengl_works


class SlicerHost:
    """What `start` returns.

    scene; views (None without OpenGL); slot_errors: exceptions that nobody caught, which a test has to find empty.
    """

    def __init__(self, mrml: MrmlHost, scratch: Path, with_views: bool) -> None:
        self.mrml = mrml
        self.scene = mrml.scene
        self.slot_errors = pythonqt.slot_errors
        self._window: MainWindow | None = None
        self._modules: dict[str, scripted_modules.qSlicerScriptedLoadableModule] = {}
        pythonqt.install()
        _keep_settings_in(scratch)
        self.application = application.install(mrml, scratch)
        ctk_widgets.install()
        mrml_widgets.install()
        scripted_modules.install()
        slicer_packages.install()
        slicer_packages.hide_short_cuts()
        manager = qSlicerLayoutManager(mrml) if with_views and opengl_works() else None
        self.application.setLayoutManager(manager)
        self.views = Views(manager) if manager else None

    @property
    def layout(self) -> qSlicerLayoutManager | None:
        """What slicer.app.layoutManager() returns."""
        return self.application.layoutManager()

    def load_module(self, path: Path):
        """Open a scripted module and return its widget object; it is set up and entered.

        Errors while it is imported or set up are raised here; Slicer prints them. Raises ValueError for a module that
        is open already: reload or unload it.
        """
        if Path(path).stem in self._modules:
            raise ValueError(f"{Path(path).stem} is open already.")
        module = scripted_modules.load_module(path)
        self._modules[module.objectName()] = module
        self.enter_module(module.objectName())
        return module.widgetRepresentation().self()

    def enter_module(self, name: str) -> None:
        """What choosing the module in Slicer's module list does."""
        self.leave_module()
        panel = self._modules[name].widgetRepresentation()
        if self._window is not None:
            self._window.show_module(panel)
        panel.enter()

    def leave_module(self) -> None:
        """What choosing another module does to the one that is open."""
        for module in self._modules.values():
            if module.panel is not None and module.panel.isEntered:
                module.panel.exit()

    def complete_startup(self) -> None:
        """Tell modules that Slicer has started. Not done unasked: there is no sample data to register."""
        self.application.startupCompleted.emit()

    def reload_module(self, name: str):
        """What the button Reload of Slicer's developer mode does. Returns the new widget object."""
        slicer.util.getModuleWidget(name).onReload()
        return slicer.util.getModuleWidget(name)

    def unload_module(self, name: str) -> None:
        """What the end of the application does to a module."""
        scripted_modules.unload_module(self._modules.pop(name))

    def main_window(
        self,
        width: int = 1280,
        height: int = 800,
        font_points: float | None = None,
        dark: bool = False,
        panel_width: int = PANEL_WIDTH,
    ):
        """Open a window with the module panel and the views. Until `reset`, slicer.util.mainWindow() is this window.

        All lengths in pixels; panel_width includes the scroll bar.
        """
        set_appearance(font_points, dark)
        self._close_window()
        self._window = MainWindow(self.layout.viewport() if self.layout else None, width, height, panel_width)
        for module in self._modules.values():
            if module.panel is not None and module.panel.isEntered:
                self._window.show_module(module.panel)
        self._window.show()
        return self._window

    def grab_window(self, path: Path) -> None:
        """Save what the main window shows as a PNG file."""
        self._window.save_picture(path)

    def reset(self) -> list[str]:
        """An application as it is after its start: the scene is closed first, while the modules still look on.

        Returns the exceptions since the last reset that nobody caught, with their tracebacks.
        """
        self.mrml.clear()
        for name in list(self._modules):
            self.unload_module(name)
        self._close_window()
        if self.views is not None:
            self.views.reset()
        set_appearance()
        QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.DeferredDelete)
        errors = ["".join(traceback.format_exception(*error)) for error in self.slot_errors]
        self.slot_errors.clear()
        return errors

    def close(self) -> None:
        """End of the process."""
        self.reset()
        if self.views is not None:
            self.views.close()

    def _close_window(self) -> None:
        if self._window is not None:
            self._window.release()
            self._window = None


def start(scratch: Path, with_views: bool = True, mrml: MrmlHost | None = None) -> SlicerHost:
    """The host of this process. scratch: an existing folder for temporary files. mrml: a scene that exists already.

    Without OpenGL there are no views whatever with_views says, as in Slicer with --no-main-window.
    Raises RuntimeError if there is a host already.
    """
    if hasattr(slicer, "app"):
        raise RuntimeError("There can be only one host in a process.")
    return SlicerHost(mrml or MrmlHost(scratch), scratch, with_views)


def _keep_settings_in(folder: Path) -> None:
    """Not in the home folder of whoever runs the tests."""
    QtCore.QCoreApplication.setOrganizationName("SlicerHost")
    QtCore.QSettings.setDefaultFormat(QtCore.QSettings.IniFormat)
    QtCore.QSettings.setPath(QtCore.QSettings.IniFormat, QtCore.QSettings.UserScope, str(folder))
