"""Tissue rows in a window of their own, for tests."""

from __future__ import annotations

from TissueElasticRegistrationLib.core.physics.parameter_scale import LogScale, SliderPositions

LUNG, SOFT, RIBS = "lung_id", "soft_id", "ribs_id"
SCALE = LogScale()


def at(lam: float, mu: float, scale=SCALE) -> SliderPositions:
    """The positions of the sliders for these weights."""
    return SliderPositions(scale.slider(lam), scale.slider(mu))


def info(tissue_id, name, color_rgb=(0.2, 0.6, 0.9), is_empty=False):
    from TissueElasticRegistrationLib.scene.write.tissue_nodes import SegmentInfo

    return SegmentInfo(tissue_id, name, color_rgb, is_empty=is_empty)


class Panel:
    """Rows in a window of the width of Slicer's panel, and what they called back, but for what ``callbacks`` hear."""

    def __init__(self, scale=SCALE, width=300, **callbacks):
        import qt

        from TissueElasticRegistrationLib.panel.sections.tissue_rows import RowCallbacks, TissueRows

        self.calls = []
        self.container = qt.QWidget()
        kinds = ("changed", "dragged", "released", "linked", "locked", "reset")
        callbacks = {kind: self._note(kind) for kind in kinds} | callbacks
        self.rows = TissueRows(self.container, scale, RowCallbacks(**callbacks))
        self.container.resize(width, 100)
        self.container.show()

    def _note(self, kind):
        def note(*values):
            self.calls.append((kind, *values))

        return note

    def show(self, tissues, positions=None, **switches):
        self.rows.set_tissues(tissues)
        self.rows.show(positions or {}, **switches)
        self.settle()
        return self

    def settle(self):
        import qt

        qt.QCoreApplication.processEvents()
        qt.QCoreApplication.sendPostedEvents(None, qt.QEvent.DeferredDelete)
        self.container.resize(self.container.width, self.container.sizeHint.height())
        qt.QCoreApplication.processEvents()

    def __getitem__(self, name):
        import qt

        found = [child for child in self.container.findChildren(qt.QWidget) if child.objectName == name]
        assert len(found) == 1, f"{name}: {len(found)}"
        return found[0]

    def __contains__(self, name):
        import qt

        return any(child.objectName == name for child in self.container.findChildren(qt.QWidget))

    @property
    def preset_menu(self):
        return self.container.findChildren("QMenu")[0]


def three_tissues() -> Panel:
    """Their values lie between the slider's steps and have more digits than the boxes show."""
    return Panel().show(
        [info(LUNG, "lung"), info(SOFT, "soft tissue"), info(RIBS, "ribs")],
        {LUNG: at(0.123456789, 0.456789123), SOFT: at(1.0, 1.0), RIBS: at(30.0, 15.0)},
    )
