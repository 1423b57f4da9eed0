"""Where the patient images are that some tests use: they are not part of the repository."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# A folder beside the repository is found too.
PLACES = (ROOT / "patient-data", ROOT.parent / "shared" / "data")
DATA = Path(os.environ.get("PATIENT_DATA") or next((place for place in PLACES if place.is_dir()), PLACES[0]))
