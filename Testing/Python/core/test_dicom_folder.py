"""A folder with the files of one DICOM series is a volume; everything else is refused with its size or its list."""

from __future__ import annotations

import locale

import numpy as np
import pytest
import SimpleITK as sitk
from oblique_data import an_image, oblique_geometry, sentence

from TissueElasticRegistrationLib.core.files.image_files import read_image

IMAGE = an_image()
NUMBERS = range(IMAGE.array_kji.shape[0])


@pytest.fixture(autouse=True)
def same_locale():
    """ITK leaves another locale behind when it has written DICOM."""
    before = locale.setlocale(locale.LC_ALL)
    yield
    locale.setlocale(locale.LC_ALL, before)


def write_series(folder, uid="1.2.3.1", description="THORAX", place_mm=None, shift_mm=0.0, order=NUMBERS, **tags):
    """Slices of IMAGE. ``place_mm``: along the normal, by default its own; ``shift_mm``: of each within its plane."""
    folder.mkdir(exist_ok=True)
    geometry = oblique_geometry()
    axes_lps = geometry.direction_lps
    normal = np.cross(axes_lps[:, 0], axes_lps[:, 1])
    spacing_mm = geometry.spacing_ijk_mm
    places = place_mm or [number * spacing_mm[2] for number in NUMBERS]
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for number, place in zip(order, places, strict=True):
        volume = sitk.GetImageFromArray(IMAGE.array_kji[number])
        volume.SetSpacing(spacing_mm[:2].tolist())
        position = geometry.origin_lps_mm + place * normal + number * shift_mm * axes_lps[:, 1]
        for tag, value in {
            "0008|0060": "CT",
            "0008|103e": description,
            "0020|000d": "1.2.3",
            "0020|000e": uid,
            "0008|0018": f"{uid}.{number + 1}",
            "0020|0032": "\\".join(f"{x:.6f}" for x in position),
            "0020|0037": "\\".join(f"{x:.8f}" for x in axes_lps[:, :2].T.ravel()),
            "0020|0013": str(number + 1),
            **tags,
        }.items():
            volume.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{uid}-{97 - number}.dcm"))  # names in another order than positions
        writer.Execute(volume)
    return folder


def test_series_is_read_where_it_was_acquired(tmp_path):
    found = read_image(write_series(tmp_path / "series"))
    if np.linalg.det(oblique_geometry().direction_lps) < 0:
        pytest.fail("the test data must be right-handed, as DICOM is")
    np.testing.assert_array_equal(found.array_kji, IMAGE.array_kji)
    np.testing.assert_allclose(found.geometry.ijk_to_ras, IMAGE.geometry.ijk_to_ras, atol=1e-4)
    assert found.name == "series"


def test_one_slice_in_a_folder_is_a_slice(tmp_path):
    folder = write_series(tmp_path / "series")
    for path in sorted(folder.iterdir())[1:]:
        path.unlink()
    assert read_image(folder).geometry.is_slice


def test_several_series_are_listed(tmp_path, capfd):
    write_series(tmp_path / "both")
    message = sentence(lambda: read_image(write_series(tmp_path / "both", "1.2.3.2", "LUNG")))
    assert message.startswith(f"{tmp_path / 'both'}: expected the files of one DICOM series, but the folder contains 2")
    assert "CT THORAX (6 files)" in message and "CT LUNG (6 files)" in message
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"place_mm": [0, 3, 6, 12, 15, 18]}, "uneven distances, 3 to 6 mm"),
        ({"place_mm": [0, 3, 6, 6, 9, 12]}, "several slices of the DICOM series lie at the same position"),
        ({"shift_mm": 3.1 * np.tan(np.radians(12.5))}, "a gantry tilt of 12.5 degrees"),
    ],
)
def test_slices_that_are_no_volume_are_refused_with_the_size(tmp_path, capfd, changes, reason):
    folder = write_series(tmp_path / "series", **changes)
    message = sentence(lambda: read_image(folder))
    assert str(folder) in message and reason in message
    assert capfd.readouterr().err == ""


def test_folder_without_dicom_is_refused(tmp_path, capfd):
    (tmp_path / "notes.txt").write_text("no image")
    assert sentence(lambda: read_image(tmp_path)) == f"{tmp_path}: this is a folder without DICOM images."
    assert capfd.readouterr().err == ""
