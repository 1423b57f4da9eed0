"""Landmarks from csv files, as Excel writes them too, and from two lists of points as Slicer saves them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from oblique_data import sentence

from TissueElasticRegistrationLib.core.files.landmark_files import read_landmarks

HEADER = "fixed_x,fixed_y,fixed_z,moving_x,moving_y,moving_z\n"
GOOD_TABLE = HEADER + "1.5,2,3,4,5,-6.25\n"

# ---- csv ----------------------------------------------------------------------------------------


def test_landmarks_are_read_in_any_column_order_and_turned_to_ras(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text(
        "\ufeffmoving_z, Name,fixed_x,fixed_y,fixed_z,moving_x,moving_y\n6,carina,1,2,3,4,5\n\n12,,7,8,9,10,11\n"
    )
    landmarks = read_landmarks(path)
    np.testing.assert_array_equal(landmarks.fixed_ras_mm, [[-1, -2, 3], [-7, -8, 9]])
    np.testing.assert_array_equal(landmarks.moving_ras_mm, [[-4, -5, 6], [-10, -11, 12]])
    assert landmarks.names == ("carina", "2")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(GOOD_TABLE.replace(",", ";").replace(".", ","), id="semicolons and decimal commas"),
        pytest.param("sep=;\r\n" + GOOD_TABLE.replace(",", ";").replace("\n", "\r\n"), id="separator told to Excel"),
        pytest.param(GOOD_TABLE.replace(",", "\t"), id="tabs"),
        pytest.param(GOOD_TABLE.replace(",", "\t").replace(".", ","), id="tabs and decimal commas"),
        pytest.param(GOOD_TABLE.replace("\n", ',"sure, or not"\n').replace('"sure, or not"', "notes", 1), id="notes"),
        pytest.param(GOOD_TABLE.replace("fixed_x", ",fixed_x").replace("1.5", "0,1.5"), id="row numbers without title"),
        pytest.param(GOOD_TABLE + ",,,,,\n\n", id="blank rows"),
        pytest.param(GOOD_TABLE.replace("-6.25", "-6.25,,"), id="blank values beyond the header"),
        pytest.param(GOOD_TABLE.replace("\n", "\r"), id="line ends of old Macs"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_table_as_a_spreadsheet_saves_it_is_read(tmp_path, text, encoding):
    path = tmp_path / "points.csv"
    path.write_bytes(text.encode(encoding))
    landmarks = read_landmarks(path)
    np.testing.assert_array_equal(landmarks.fixed_ras_mm, [[-1.5, -2, 3]])
    np.testing.assert_array_equal(landmarks.moving_ras_mm, [[-4, -5, -6.25]])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the file is empty"),
        ("\n \n", "the file is empty"),
        (
            "x,y,z\n1,2,3\n",
            "the header 'x,y,z', read with commas between the columns, lacks fixed_x, fixed_y, fixed_z, moving_x, "
            "moving_y, moving_z.",
        ),
        (HEADER.replace("moving_z", "notes"), "lacks moving_z."),
        (HEADER.replace("moving_z", "moving_z,Fixed_X"), "names fixed_x more than once."),
        (HEADER.replace(",", "|"), "read with commas between the columns, lacks fixed_x"),
        (
            HEADER.replace(",", ";").replace("moving_z", "z"),
            "read with semicolons between the columns, lacks moving_z.",
        ),
        (HEADER, "a header but no rows"),
        (HEADER + "1,2,3,4,5\n", "line 2: 5 values for 6 columns."),
        (HEADER + "\n1,2,3,4,5,6\n1,2,3,4,5,6,7\n", "line 4: 7 values for 6 columns"),
        (HEADER + "1,5,2,3,4,5,6\n", "put quotation marks around values that contain commas"),
        (HEADER + "1,2,a,4,5,6\n", "line 2: fixed_z is 'a', not a finite number."),
        (HEADER + "1,2,,4,5,6\n", "line 2: fixed_z is '', not a finite number."),
        (HEADER + '"1,5",2,3,4,5,6\n', "line 2: fixed_x is '1,5', not a finite number (decimal commas need"),
        ((HEADER + "1.234,5,2,3,4,5,6\n").replace(",", ";").replace("234;", "234,"), "fixed_x is '1.234,5'"),
        (HEADER + "1,2,nan,4,5,6\n", "finite"),
        (HEADER + "1,2,1e400,4,5,6\n", "finite"),
        (HEADER + "1_0,2,3,4,5,6\n", "fixed_x is '1_0'"),
        (HEADER + '1,2,3,"4,5,6\n1,2,3,4,5,6\n', "line 3: a quotation mark is not closed"),
        (HEADER + '1,2,3,"4"0,5,6\n', "line 2: a quotation mark"),
    ],
)
def test_unusable_table_is_refused_with_the_true_reason(tmp_path, text, reason):
    path = tmp_path / "points.csv"
    path.write_text(text, newline="")
    message = sentence(lambda: read_landmarks(path))
    assert str(path) in message and reason in message


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe\x00\x81\xd8", b"\x1f\x8b\x08\x00\x9c", "naïve".encode("cp1252"), GOOD_TABLE.encode("utf-16-le")],
)
def test_what_is_no_text_in_utf_8_is_refused(tmp_path, content):
    path = tmp_path / "points.csv"
    path.write_bytes(content)
    assert f"{path}: not a text file in UTF-8" in sentence(lambda: read_landmarks(path))


def test_missing_landmark_file_is_refused(tmp_path):
    assert "file not found" in sentence(lambda: read_landmarks(tmp_path / "points.csv"))


# ---- points as Slicer saves them ----------------------------------------------------------------

POINTS_RAS = {"apex": (1.5, -2.0, 30.0), "carina": (-7.0, 8.0, 9.25), "liver, dome": (0.0, 11.0, -12.0)}


def point(label, position, **more) -> dict:
    return {"id": "1", "label": label, "position": list(position), "positionStatus": "defined", **more}


def mrk_json(path, points, system="LPS", **more):
    signs = np.array([-1, -1, 1]) if system == "LPS" else np.ones(3)
    listed = [point(label, (signs * position).tolist()) for label, position in points.items()]
    content = {"type": "Fiducial", "coordinateSystem": system, "coordinateUnits": "mm", "controlPoints": listed, **more}
    path.write_text(json.dumps({"markups": [content]}))
    return path


def fcsv(path, points, system="LPS", status="2"):
    signs = np.array([-1, -1, 1]) if system in ("LPS", "1") else np.ones(3)
    lines = [
        "# Markups fiducial file version = 5.8",
        f"# CoordinateSystem = {system}",
        "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID",
    ]
    for label, position in points.items():
        x, y, z = signs * position
        lines.append(f'1,{x},{y},{z},0,0,0,1,1,1,0,"{label}",,,{status},0')
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("system", ["LPS", "RAS"])
@pytest.mark.parametrize(("write", "ending"), [(mrk_json, ".mrk.json"), (fcsv, ".fcsv")])
def test_points_are_read_in_the_coordinate_system_they_name(tmp_path, write, ending, system):
    moved = {label: tuple(np.add(place, 1)) for label, place in POINTS_RAS.items()}
    fixed, moving = write(tmp_path / f"F{ending}", POINTS_RAS, system), write(tmp_path / f"M{ending}", moved, system)
    landmarks = read_landmarks(fixed, moving)
    np.testing.assert_allclose(landmarks.fixed_ras_mm, list(POINTS_RAS.values()))
    np.testing.assert_allclose(landmarks.moving_ras_mm, list(moved.values()))
    assert landmarks.names == tuple(POINTS_RAS)


def test_points_are_as_slicer_writes_them(tmp_path):
    """Both files, from Slicer's own storage nodes."""
    slicer = pytest.importorskip("slicer")
    scene = slicer.vtkMRMLScene()
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    for label, position in POINTS_RAS.items():
        node.AddControlPoint(*position, label)
    node.AddControlPoint(5, 5, 5, "not placed")
    node.UnsetNthControlPointPosition(3)
    for kind, name in (("Json", "F.mrk.json"), ("Fiducial", "F.fcsv")):
        storage = getattr(slicer, f"vtkMRMLMarkups{kind}StorageNode")()
        scene.AddNode(storage)
        storage.SetFileName(str(tmp_path / name))
        assert storage.WriteData(node)
        landmarks = read_landmarks(tmp_path / name, tmp_path / name)
        np.testing.assert_allclose(landmarks.fixed_ras_mm, list(POINTS_RAS.values()), err_msg=name)
        assert landmarks.names == tuple(POINTS_RAS)


def test_points_of_equal_labels_are_paired_by_label_whatever_their_order(tmp_path):
    fixed = mrk_json(tmp_path / "F.mrk.json", POINTS_RAS)
    moving = fcsv(tmp_path / "M.fcsv", dict(reversed(POINTS_RAS.items())), "RAS")
    landmarks = read_landmarks(fixed, moving)
    np.testing.assert_allclose(landmarks.moving_ras_mm, landmarks.fixed_ras_mm)


@pytest.mark.parametrize("numbers", [("F-1", "F-2", "F-3"), ("x", "x", "x")])
def test_points_without_common_or_unique_labels_are_paired_by_order(tmp_path, numbers):
    fixed = mrk_json(tmp_path / "F.mrk.json", POINTS_RAS)
    places = [(1.0, 2, 3), (4, 5, 6), (7, 8, 9)]
    listed = [point(label, place) for label, place in zip(numbers, places, strict=True)]
    moving = mrk_json(tmp_path / "M.mrk.json", {}, "RAS", controlPoints=listed)
    np.testing.assert_allclose(read_landmarks(fixed, moving).moving_ras_mm, places)


@pytest.mark.parametrize(
    ("moving", "reason"),
    [
        (dict(list(POINTS_RAS.items())[:2]), "they have 3 and 2 defined points"),
        ({"carina": (1, 2, 3), "apex": (1, 2, 4), "dome": (4, 5, 6)}, "'apex' is at different places in the two lists"),
    ],
)
def test_lists_that_do_not_correspond_are_refused(tmp_path, moving, reason):
    fixed, other = mrk_json(tmp_path / "F.mrk.json", POINTS_RAS), mrk_json(tmp_path / "M.mrk.json", moving)
    message = sentence(lambda: read_landmarks(fixed, other))
    assert str(fixed) in message and str(other) in message and reason in message


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({}, "not a Slicer markups file"),
        ([1], "not a Slicer markups file"),
        ({"markups": [{}, {}]}, "expected one list of points, not 2"),
        ({"markups": [{"controlPoints": {}}]}, "not a Slicer markups file"),
        ({"markups": [{"controlPoints": []}]}, "no defined points"),
        ({"markups": [{"controlPoints": [point("a", (1, 2, 3), positionStatus="undefined")]}]}, "no defined points"),
        ({"markups": [{"controlPoints": [point("a", (1, 2))]}]}, "position of point 1 is not three finite numbers"),
        ({"markups": [{"controlPoints": [point("a", (1, 2, "x"))]}]}, "position of point 1"),
        ({"markups": [{"controlPoints": [point("a", (1, 2, 10**400))]}]}, "position of point 1"),
        ({"markups": [{"coordinateSystem": "IJK", "controlPoints": [point("a", (1, 2, 3))]}]}, "system 'IJK'"),
        ({"markups": [{"coordinateUnits": "cm", "controlPoints": [point("a", (1, 2, 3))]}]}, "in mm, not cm"),
    ],
)
def test_unusable_json_is_refused_with_the_true_reason(tmp_path, content, reason):
    path = tmp_path / "F.mrk.json"
    path.write_text(json.dumps(content))
    message = sentence(lambda: read_landmarks(path, path))
    assert str(path) in message and reason in message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("label,1,2,3\n", "does not name its version and coordinate system"),
        ("# Markups fiducial file version = 5.8\n# CoordinateSystem = 2\n1,1,2,3,0,0,0,1,1,1,0,a,,\n", "system '2'"),
        ("# Markups fiducial file version = 5.8\n# CoordinateSystem = LPS\n1,1,2,3\n", "a line has 4 values"),
        ("# Markups fiducial file version = 5.8\n# CoordinateSystem = LPS\n", "no defined points"),
    ],
)
def test_unusable_fcsv_is_refused_with_the_true_reason(tmp_path, text, reason):
    path = tmp_path / "F.fcsv"
    path.write_text(text)
    assert reason in sentence(lambda: read_landmarks(path, path))


def test_one_list_of_points_and_a_table_beside_a_list_are_refused(tmp_path):
    points, table = mrk_json(tmp_path / "F.mrk.json", POINTS_RAS), tmp_path / "points.csv"
    table.write_text(GOOD_TABLE)
    assert "--moving-landmarks must name those of the other" in sentence(lambda: read_landmarks(points))
    for pair in ((table, points), (points, table)):
        message = sentence(lambda pair=pair: read_landmarks(*pair))
        assert message.startswith(str(table)) and ".mrk.json or .fcsv" in message
