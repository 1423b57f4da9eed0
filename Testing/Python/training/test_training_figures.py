"""Training: figure 2 of the paper. What is drawn is what the tables say; tables that cannot be drawn are refused."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba

from TissueElasticRegistrationLib.commands.batch_command import COLUMNS, read_list
from training.drawing.batch_table import NEEDED, STIFFNESS, read_table
from training.drawing.pages import same_look, save_figure
from training.drawing.tissue_dots import COLORS, tissue_figure
from training.figures import main
from training.phantoms.__main__ import FILES, write_subjects

ROWS = [  # subject, tissue, λ, μ, flat
    ("a", "lung", 0.3, 0.5, False),
    ("b", "lung", 0.3, 0.5, True),
    ("c", "lung", 2.0, 0.1, False),
    ("d", "lung", 5.0, 7.0, False),
    ("e", "lung", 9.0, 0.2, False),
    ("f", "lung", 0.05, 30.0, False),
    ("a", "bone", 30.0, 40.0, True),
    ("b", "bone", 100.0, 20.0, False),
]


def row(subject="a", tissue="lung", lam=0.3, mu=0.5, flat=False, **changes) -> dict:
    return {
        "subject": subject,
        "status": "done",
        "tissue": tissue,
        "lambda": lam,
        "mu": mu,
        "estimated": True,
        "flat": flat,
        **changes,
    }


def table(folder: Path, rows: list[dict], name="batch.csv", columns=None) -> Path:
    """A file as the command batch writes it; what a row does not have stays empty."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / name, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns or COLUMNS, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return folder / name


def usual(folder: Path) -> Path:
    return table(folder, [row(*entry) for entry in ROWS])


def drawn(*paths: Path):
    """The figure, by the names of its axes."""
    with same_look():
        figure = tissue_figure([read_table(path) for path in paths])
    return figure, {axes.get_label(): axes for axes in figure.axes}


def dots_of(axes) -> list[tuple[str, float, float, bool]]:
    """Subject, λ, μ and whether it is hollow."""
    return [
        (
            dots.get_label(),
            *dots.get_offsets()[0].tolist(),
            not np.allclose(dots.get_facecolor()[0], dots.get_edgecolor()[0]),
        )
        for dots in axes.collections
    ]


# --- dots -------------------------------------------------------------------------------------------------------------


def test_each_estimate_is_a_dot_at_its_values_and_hollow_if_it_is_flat(tmp_path):
    _, axes = drawn(usual(tmp_path))
    for tissue in ("lung", "bone"):
        wanted = [(subject, lam, mu, flat) for subject, name, lam, mu, flat in ROWS if name == tissue]
        assert sorted(dots_of(axes[tissue])) == sorted(wanted)


def test_dots_of_the_same_place_lie_side_by_side_around_it(tmp_path):
    rows = [row(f"s{number}", lam=0.3, mu=0.5, flat=number % 3 == 0) for number in range(30)]
    figure, axes = drawn(table(tmp_path, [*rows, row("far", lam=10.0, mu=10.0)]))
    figure.draw_without_rendering()
    together = [dots for dots in axes["lung"].collections if dots.get_label() != "far"]
    places = np.array([dots.get_offset_transform().transform(dots.get_offsets()[0]) for dots in together])
    pixels_per_point = figure.dpi / 72
    width = pixels_per_point * (np.sqrt(together[0].get_sizes()[0]) + together[0].get_linewidth()[0])
    distance = np.linalg.norm(places[:, None] - places[None], axis=-1)[np.triu_indices(30, 1)]
    assert distance.min() >= width
    assert np.allclose(places.mean(0), axes["lung"].transData.transform((0.3, 0.5)), atol=0.5)
    assert distance.max() < 30 * pixels_per_point, "they stay together"


def test_median_and_quartiles_are_those_of_the_decided_estimates(tmp_path):
    _, axes = drawn(usual(tmp_path))
    decided = np.log([(lam, mu) for _, tissue, lam, mu, flat in ROWS if tissue == "lung" and not flat])
    low, middle, high = np.exp(np.percentile(decided, (25, 50, 75), axis=0))
    along_lam, along_mu = (line for line in axes["lung"].lines if line.get_label() == "quartiles")
    assert np.allclose(along_lam.get_xdata(), (low[0], high[0]))
    assert np.allclose(along_mu.get_ydata(), (low[1], high[1]))
    at_lam, at_mu = (line for line in axes["lung"].lines if line.get_label() == "median")
    assert np.allclose([at_lam.get_xdata()[0], at_mu.get_ydata()[0]], middle)
    assert not axes["bone"].lines, "a single decided estimate has no spread"


def test_only_estimates_are_drawn(tmp_path):
    rows = [
        row("a"),
        row("b", estimated=False, lam=30, mu=30),
        row("c", lam="", mu=0.5),
        row("d", mu="nan"),
        {"subject": "e", "status": "failed", "message": "no file"},
        row("a", "liver", estimated=False),
    ]
    path = table(tmp_path, rows)
    _, axes = drawn(path)
    assert [name for name, *_ in dots_of(axes["lung"])] == ["a"] and "liver" not in axes
    assert read_table(path).failed == ("e",) and read_table(path).subjects == ("a", "b", "c", "d")


def test_several_tables_have_their_own_colors(tmp_path):
    one = table(tmp_path / "one", [row("a", lam=0.3), row("b", lam=2.0)])
    other = table(tmp_path / "other", [row("a", lam=0.3), row("c", lam=5.0)])
    figure, axes = drawn(one, other)
    colors = {(dots.get_label(), dots.get_offsets()[0][0]): [] for dots in axes["lung"].collections}
    for dots in axes["lung"].collections:
        colors[dots.get_label(), dots.get_offsets()[0][0]].append(tuple(dots.get_facecolor()[0]))
    first, second = to_rgba(COLORS[0]), to_rgba(COLORS[1])
    assert sorted(colors["a", 0.3]) == sorted([first, second])
    assert colors["b", 2.0] == [first] and colors["c", 5.0] == [second]
    assert [text.get_text() for text in figure.legends[0].get_texts()][:2] == ["one (2)", "other (2)"]


def test_axes_are_those_of_the_scale(tmp_path):
    log = table(tmp_path / "log", [row(), row("a", "background", 0.02, 0.02, estimated=False)])
    paper = table(tmp_path / "paper", [row(), row("a", "background", 0.0003, 0.0003, estimated=False)])
    for path, scale, lowest, highest in ((log, "log", 0.02, 199), (paper, "linear", 0, 1)):
        lung = drawn(path)[1]["lung"]
        assert (lung.get_xscale(), lung.get_yscale()) == (scale, scale)
        assert lung.get_xlim() == lung.get_ylim() and lung.get_xlim()[0] < lowest and highest < lung.get_xlim()[1]
        assert lung.get_aspect() == 1 and (lung.get_xlabel(), lung.get_ylabel()) == ("λ", "μ")
    assert read_table(log, "paper").scale.name == "paper"
    with pytest.raises(ValueError, match="different scales"):
        drawn(log, paper)


@pytest.mark.parametrize("count", [1, 5])
def test_no_text_is_cut_and_no_panel_covers_another(tmp_path, count):
    tissues = [f"{number} lobe of the lung with a very long name" for number in range(count)]
    figure, _ = drawn(
        table(tmp_path, [row(subject, tissue, **stiffness(2, 1, 4)) for tissue in tissues for subject in "abc"])
    )
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    used = figure.get_tightbbox(renderer)
    assert min(used.x0, used.y0) >= 0 and np.all(used.p1 <= figure.get_size_inches())
    boxes = [axes.get_tightbbox(renderer).shrunk(0.999, 0.999) for axes in figure.axes]
    boxes.append(figure.legends[0].get_window_extent(renderer))
    assert not any(one.overlaps(other) for number, one in enumerate(boxes) for other in boxes[:number])


# --- shear modulus ratio ----------------------------------------------------------------------------------------------


def stiffness(value, low, high, supported=True) -> dict:
    return dict(zip(STIFFNESS, (value, low, high, supported), strict=True))


def test_stiffness_is_drawn_with_its_intervals(tmp_path):
    rows = [
        row("a", **stiffness(0.4, 0.2, 0.8)),
        row("b", **stiffness(0.2, 0.1, 0.3, False)),
        row("c", **stiffness(3.0, 2.0, "", False)),
        row("d", **stiffness("", "", "", False)),
        row("a", "soft", **stiffness(1, 1, 1)),
    ]
    _, axes = drawn(table(tmp_path, rows))
    panel = axes["stiffness"]
    (dots,) = panel.collections
    assert dots.get_offsets()[:, 1].tolist() == [0.2, 0.4, 3.0], "from soft to stiff"
    hollow = [bool(np.allclose(face, 1)) for face in dots.get_facecolor()]
    assert hollow == [True, False, True]
    intervals = [line.get_ydata().tolist() for line in panel.lines if line.get_label() == "interval"]
    top = panel.get_ylim()[1]
    assert intervals == [[0.1, 0.3], [0.2, 0.8], [2.0, top]]
    assert [line.get_ydata().tolist() for line in panel.lines if line.get_label() == "no end"] == [[top]]
    assert [line.get_ydata()[0] for line in panel.lines if line.get_label() == "median"] == [pytest.approx(0.4)]
    assert [label.get_text() for label in panel.get_xticklabels()] == ["lung\nknown for 1 of 4"], "not the reference"
    assert panel.get_ylabel().endswith("to soft") and panel.get_yscale() == "log"


def test_without_intervals_there_is_no_stiffness(tmp_path):
    """A column of that name alone has another meaning in older tables."""
    path = table(tmp_path, [row(**stiffness(0.4, 0.2, 0.8))], columns=[*NEEDED, STIFFNESS[0]])
    assert "stiffness" not in drawn(path)[1]
    assert "stiffness" not in drawn(table(tmp_path / "empty", [row()]))[1]


def test_the_command_batch_writes_what_is_needed():
    assert {*NEEDED, *STIFFNESS} <= set(COLUMNS)


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_the_same_table_gives_the_same_bytes_whatever_the_settings_of_matplotlib(tmp_path, capsys, ending):
    path = usual(tmp_path)
    assert main(["tissues", str(path), "--output", str(tmp_path / f"one.{ending}")]) == 0
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "savefig.dpi": 20}):
        settings = dict(matplotlib.rcParams)
        assert main(["tissues", str(path), "--output", str(tmp_path / f"two.{ending}")]) == 0
        assert dict(matplotlib.rcParams) == settings
    assert (tmp_path / f"one.{ending}").read_bytes() == (tmp_path / f"two.{ending}").read_bytes()
    assert "6 subjects, 8 estimates of λ and μ, 2 of them undecided" in capsys.readouterr().out


def test_a_figure_has_the_width_that_was_asked_for(tmp_path):
    from PIL import Image

    assert main(["tissues", str(usual(tmp_path)), "--output", str(tmp_path / "a.png"), "--width", "640"]) == 0
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.width == 640


HEADER = ",".join(NEEDED) + "\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        (b"", "the column 'subject' is missing"),
        (b"\xff\xfe\x00\x01", "not a readable CSV file"),
        (b"name,value\n1,2\n", "the column 'subject' is missing"),
        (HEADER.encode(), "no estimated"),
        ((HEADER + "a,failed,,,,,\n").encode(), "no estimated"),
        ((HEADER + "a,done,lung,1,1,False,\n").encode(), "no estimated"),
        ((HEADER + "a,done,lung,,1,True,False\n").encode(), "no estimated"),
        ((HEADER + "a,done,lung,soft,1,True,False\n").encode(), "line 2: 'soft' in column lambda is not a number"),
        ((HEADER + "a,done,lung,1,1,perhaps,False\n").encode(), "line 2: 'perhaps' in column estimated"),
        ((HEADER + "a,done,lung,-3,1,True,False\n").encode(), "cannot be of the same scale"),
        ((HEADER + "a,done,lung,0,90,True,False\n").encode(), "cannot be of the same scale"),
        ((HEADER + "a,done,lung,1e9,1,True,False\n").encode(), "cannot be of the same scale"),
        ((HEADER + "a,done\n").encode(), "no estimated"),
    ],
)
def test_a_table_that_cannot_be_drawn_is_refused_in_one_sentence(tmp_path, capsys, content, message):
    path = tmp_path / "batch.csv"
    if content is not None:
        path.write_bytes(content)
    assert main(["tissues", str(path), "--output", str(tmp_path / "a.png")]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: ") and message in printed and printed.count("\n") == 1
    assert not (tmp_path / "a.png").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--output", "a.jpg"), "must end with"),
        (("--output", "nowhere/a.png"), "there is no folder"),
        (("--output", "a.png", "--width", "3"), "pixels wide"),
    ],
)
def test_a_name_that_no_figure_can_have_is_refused(tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    assert main(["tissues", str(usual(tmp_path)), *options]) == 2
    assert message in capsys.readouterr().err


def test_without_matplotlib_the_command_says_what_to_install(tmp_path, monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith(("matplotlib", "training.drawing"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["tissues", str(usual(tmp_path)), "--output", str(tmp_path / "a.png")]) == 2
    assert "figures need matplotlib: pip install" in capsys.readouterr().err


# --- synthetic patients as files --------------------------------------------------------------------------------------


def test_subjects_are_files_that_batch_can_read(tmp_path):
    listed = write_subjects(tmp_path, 2, [950_000, 950_001], 12.0)
    options = argparse.Namespace(pairs=str(listed), output="", tissues=None, initial="auto", parameters=None)
    requests = read_list(options)
    assert list(requests) == ["phantom-001", "phantom-002"]
    for request in requests.values():
        assert all(Path(getattr(request, title)).is_file() for title in FILES)
        assert request.tissues == "1=lung,2=bone,3=liver,4=soft"
    truth = json.loads((tmp_path / "phantom-002" / "material.json").read_text())
    assert truth["load"] == "breathing" and truth["tissues"]["bone"]["mu_kpa"] > truth["tissues"]["lung"]["mu_kpa"] > 0


def test_figure_can_be_saved_where_another_one_was(tmp_path):
    figure, _ = drawn(usual(tmp_path))
    (tmp_path / "a.png").write_bytes(b"old")
    save_figure(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
