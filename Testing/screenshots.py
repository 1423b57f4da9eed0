"""Makes the pictures of the module in Resources: ``python Testing/screenshots.py``. Takes some minutes.

panel.png: the module beside four views after Auto-estimate and Apply; the one in Resources was taken in Slicer itself.
panel-narrow.png: the whole panel in a column of
300 pixels with every section open and full, light, and dark with letters of 150 %.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "Testing"), str(ROOT / "TissueElasticRegistration")]
os.environ["QT_QPA_PLATFORM"] = "offscreen"  # the same pictures on every computer

from demonstration.calm import keep_terminal_calm  # noqa: E402
from demonstration.case_files import simulated_case  # noqa: E402
from demonstration.main_job import use_panel  # noqa: E402
from demonstration.panel_user import PanelUser  # noqa: E402
from demonstration.patient_scene import without_named_background  # noqa: E402
from host.slicer_host import SlicerHost, start  # noqa: E402

from TissueElasticRegistrationLib.commands.console_progress import ProgressLine  # noqa: E402
from TissueElasticRegistrationLib.commands.register_command import read_pair  # noqa: E402

WIDE = {"width": 1520, "height": 1560}
NARROW = {"width": 1000, "height": 900, "panel_width": 300}
NARROW_COLUMNS = 3
LARGE_LETTERS = 1.5


def main() -> None:
    """Make both pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "Resources")
    folder = parser.parse_args().output
    with tempfile.TemporaryDirectory() as scratch:
        progress = ProgressLine()
        with progress.busy("simulate", "a patient and a slice"):
            volume = simulated_case(Path(scratch) / "volume", spacing_mm=3.0)
            single_slice = simulated_case(Path(scratch) / "slice", dimension=2, spacing_mm=3.0)
        keep_terminal_calm()
        host = start(Path(scratch))
        take_wide(host, volume, folder / "panel.png", progress)
        take_narrow(host, single_slice, folder / "panel-narrow.png", progress)
        host.close()


def take_wide(host: SlicerHost, case: dict[str, str], path: Path, progress: ProgressLine) -> None:
    """The window. ``case``: files, as `simulated_case` returns them."""
    from demonstration.panel_pictures import save_window

    save_window(_used_panel(host, case, progress, **WIDE), path)


def take_narrow(host: SlicerHost, case: dict[str, str], path: Path, progress: ProgressLine) -> None:
    """The panel with all sections open."""
    from demonstration.panel_pictures import panel_in_columns, save_side_by_side

    columns = []
    for dark, scale in ((False, 1.0), (True, LARGE_LETTERS)):
        host.reset()
        letters = scale * host.application.font().pointSizeF()
        user = _used_panel(host, case, progress, **NARROW, font_points=letters, dark=dark)
        user.open_all_sections()
        columns += panel_in_columns(user, NARROW_COLUMNS)
    save_side_by_side(columns, path)


def _used_panel(host: SlicerHost, case: dict[str, str], progress: ProgressLine, **window: float) -> PanelUser:
    files = argparse.Namespace(**case)
    return use_panel(host, without_named_background(read_pair(files)), files, progress, **window)[0]


if __name__ == "__main__":
    main()
