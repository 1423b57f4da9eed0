"""Damaged files for everything that reads: model cards, parameters, tables, points, segmentations, images.

Each input is a valid file, changed at random. What reads it must return a value, or raise ValueError with one line, and
be quick about it. `python Testing/fuzz_readers.py --inputs 100000` runs outside of continuous integration; a few
hundred are part of the tests. The folder keeps the last input, also when the process ends: that one is to blame.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk

sys.path.insert(0, str(Path(__file__).parents[1] / "TissueElasticRegistration"))

from TissueElasticRegistrationLib.commands.batch_command import read_list  # noqa: E402
from TissueElasticRegistrationLib.core.data.geometry import Geometry  # noqa: E402
from TissueElasticRegistrationLib.core.data.images import Image  # noqa: E402
from TissueElasticRegistrationLib.core.data.tissues import Tissue, TissueParameters  # noqa: E402
from TissueElasticRegistrationLib.core.files.image_files import read_image, write_image  # noqa: E402
from TissueElasticRegistrationLib.core.files.landmark_files import read_landmarks  # noqa: E402
from TissueElasticRegistrationLib.core.files.parameter_files import read_parameters  # noqa: E402
from TissueElasticRegistrationLib.core.files.segmentation_files import (  # noqa: E402
    parse_tissue_names,
    read_segmentation,
)
from TissueElasticRegistrationLib.core.models.model_card import CARD, MODELS_FOLDER, read_card  # noqa: E402
from TissueElasticRegistrationLib.core.physics.parameter_scale import SCALES  # noqa: E402

SLOW_S = 3.0
TISSUES = (Tissue(1, "lung"), Tissue(2, "bone, left"))
# What other programs, other countries and other people put into such files.
WORDS = (
    *(
        "",
        " ",
        "\t",
        ";",
        ",",
        ",,",
        "=",
        '"',
        "'",
        "\\",
        "\n",
        "\r\n",
        "\r",
        "\0",
        "\ufeff",
        "é",
        "患者",
        "\U0001f600",
    ),
    *("nan", "NaN", "inf", "-Infinity", "1e999", "-1", "0", "1,5", "1.000,5", "1_0", "１", "9" * 400, "9" * 5000),
    *("null", "true", "[]", "{}", "[" * 50, "{" * 50, '{"a": 1, "a": 2}', "../../x", "/dev/zero", "\x1b[31m"),
    *("Segment0_", "Segment1_ID:=a\n", "LabelValue", "Layer", "space: ", "sizes: ", "encoding: gzip", "# columns = "),
)
ODD_VALUES = (None, True, -1, 0, 1e308, float("nan"), 10**400, "", "log", [], {}, ["log"], {"name": []}, [[[]]] * 3)
ENCODINGS = ("utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252")


class Target(NamedTuple):
    """What reads a kind of file.

    Attributes:
        name: For the report.
        file: Where it is written, in the working folder.
        content: Of a valid file.
        read: Reads the file at a path.
        kind: "json" or "text", which are changed in more ways, or "bytes".
    """

    name: str
    file: str
    content: bytes
    read: Callable[[Path], object]
    kind: str = "text"


class Failure(NamedTuple):
    """An input that broke the rule: how to make it again, and what happened."""

    target: str
    number: int
    what: str


def targets(folder: Path) -> list[Target]:
    """All readers with a valid file of each.

    Args:
        folder: A working folder.
    """
    image = Image(np.random.default_rng(1).integers(0, 99, (4, 5, 6)).astype(np.int16), Geometry((4, 5, 6), np.eye(4)))
    labels = sitk.GetImageFromArray((image.array_kji % 3).astype(np.uint8))
    labels.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    for number, tissue in enumerate(TISSUES):
        for field, text in (("ID", tissue.id), ("Name", tissue.name), ("LabelValue", tissue.label), ("Layer", 0)):
            labels.SetMetaData(f"Segment{number}_{field}", str(text))
    write_image(image, folder / "valid.nii")
    sitk.WriteImage(labels, str(folder / "valid.seg.nrrd"))
    points = [{"label": label, "position": [1, 2.5, 3], "positionStatus": "defined"} for label in "abc"]
    markups = {"markups": [{"type": "Fiducial", "coordinateSystem": "LPS", "controlPoints": points}]}
    lame = {"lambda": 1.5, "mu": 2}
    parameters = {"scale": "log", "tissues": {"lung": lame, "bone, left": lame}}
    scale = SCALES["log"]
    return [
        Target(
            "model card",
            f"card/{CARD}",
            next(MODELS_FOLDER.glob(f"*/{CARD}")).read_bytes(),
            lambda path: read_card(path.parent),
            "json",
        ),
        Target(
            "parameters",
            "parameters.json",
            json.dumps(parameters).encode(),
            lambda path: read_parameters(path, TISSUES, TissueParameters(), scale),
            "json",
        ),
        Target("markups", "F.mrk.json", json.dumps(markups).encode(), lambda path: read_landmarks(path, path), "json"),
        Target(
            "fcsv",
            "F.fcsv",
            b"# Markups fiducial file version = 5.8\n# CoordinateSystem = LPS\n"
            b'1,-1.5,2,3,0,0,0,1,1,1,0,"a, b",,,2,0\n2,4,5,6,0,0,0,1,1,1,0,c,,,2,0\n',
            lambda path: read_landmarks(path, path),
        ),
        Target(
            "landmark table",
            "landmarks.csv",
            b'name,fixed_x,fixed_y,fixed_z,moving_x,moving_y,moving_z\na,1,2,3,4,5,6\n"b, c",-1.5,2e1,3,4,5,6\n',
            read_landmarks,
        ),
        Target(
            "list of pairs",
            "pairs.csv",
            b'subject,fixed,moving,segmentation,tissues\na,f.nii,m.nii,s.nii,"1=lung,2=bone"\nb,f,m,s,\n',
            lambda path: read_list(argparse.Namespace(pairs=str(path), output=str(path.parent / "output"))),
        ),
        Target(
            "tissue names",
            "names.txt",
            b"1=lung,2=soft tissue,30=bone",
            lambda path: parse_tissue_names(path.read_bytes().decode("utf-8", "surrogateescape")),
        ),
        Target(
            "segmentation",
            "s.seg.nrrd",
            (folder / "valid.seg.nrrd").read_bytes(),
            lambda path: read_segmentation(path, image),
        ),
        Target("image", "image.nii", (folder / "valid.nii").read_bytes(), read_image, "bytes"),
    ]


def changed(target: Target, chance: random.Random) -> bytes:
    """A valid file with a few changes.

    Args:
        target: Whose file.
        chance: Decides; the same state gives the same bytes.
    """
    content = target.content
    if target.kind == "json" and chance.random() < 0.4:
        content = json.dumps(_odd_somewhere(json.loads(content), chance)).encode()
    for _ in range(chance.choice((0, 0, 1) if content != target.content else (1, 1, 1, 2, 3))):
        content = _damaged(content, chance)
    if target.kind != "bytes" and chance.random() < 0.1:
        content = content.decode("utf-8", "replace").encode(chance.choice(ENCODINGS), "replace")
    return content


def _odd_somewhere(value: object, chance: random.Random) -> object:
    """A json value with one of its parts replaced, removed or doubled."""
    if isinstance(value, (dict, list)) and value and chance.random() < 0.8:
        key = chance.choice(list(value)) if isinstance(value, dict) else chance.randrange(len(value))
        part = value[key]
        if chance.random() < 0.1:
            del value[key]
        else:
            value[key] = _odd_somewhere(part, chance)
            if isinstance(value, dict) and chance.random() < 0.1:
                value[chance.choice(WORDS)] = part
        return value
    return chance.choice(ODD_VALUES)


def _damaged(content: bytes, chance: random.Random) -> bytes:
    """One change: bytes replaced, removed, repeated or put in; most often near the beginning, where headers are."""
    length = len(content) if chance.random() < 0.5 else min(len(content), 400)
    start, end = sorted(chance.randint(0, length) for _ in range(2))
    way = chance.randrange(5)
    if way == 0:
        at = chance.randint(0, max(0, length - 1))
        return content[:at] + bytes([chance.randrange(256)]) + content[at + 1 :]
    if way == 1:
        return content[:start] + content[end:]
    if way == 2:
        return content[:end] + content[start:]
    if way == 3:
        return content[: chance.randint(0, len(content))]
    word = chance.choice(WORDS).encode("utf-8", "replace")
    return content[:start] + word + content[start + (len(word) if chance.random() < 0.5 else 0) :]


def fuzz(inputs: int, folder: Path, seed: int = 0) -> Iterator[tuple[str, Failure | None]]:
    """Read damaged files.

    Args:
        inputs: How many.
        folder: Where they are written, one after the other.
        seed: Number n of a seed is always the same input.

    Yields:
        For each the name of what was read and how it ended ("value" or "refused"), and the failure if there is one.
    """
    readers = targets(folder)
    (folder / "card").mkdir(exist_ok=True)
    for number in range(inputs):
        chance = random.Random(f"{seed} {number}")
        target = readers[number % len(readers)]
        path = folder / target.file
        path.write_bytes(changed(target, chance))
        began, end, what = time.perf_counter(), "value", ""
        try:
            target.read(path)
        except ValueError as error:
            end = "refused"
            if type(error) is not ValueError or len(str(error).splitlines()) != 1:
                what = f"{type(error).__name__} of {len(str(error).splitlines())} lines: {error}"
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
        seconds = time.perf_counter() - began
        if not what and seconds > SLOW_S:
            what = f"took {seconds:.1f} s"
        yield f"{target.name}: {end}", Failure(target.name, number, what) if what else None


def main() -> int:
    """Run, say what was found, and return 1 for failures."""
    parser = argparse.ArgumentParser(description="Read damaged files; every one must give a value or one sentence.")
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where the inputs are written (default: a temporary folder)")
    options = parser.parse_args()
    ends: Counter[str] = Counter()
    failures = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for end, failure in fuzz(options.inputs, folder, options.seed):
            ends[end] += 1
            if failure is not None:
                failures.append(failure)
                print(f"{failure.target}, input {failure.number}: {failure.what[:300]!r}", flush=True)
    for end, count in sorted(ends.items()):
        print(f"{end}: {count}")
    print(f"{len(failures)} failures in {options.inputs} inputs")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
