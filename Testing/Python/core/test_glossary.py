"""Every quantity has one name and one definition, and everybody asks for it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from TissueElasticRegistrationLib.core.data.glossary import DICE, FOLDING, GLOSSARY, HD95, Quantity

ROOT = Path(__file__).resolve().parents[3]
MODULE = ROOT / "TissueElasticRegistration"
GUIDE = ROOT / "Resources" / "Docs" / "quantities.md"
# What only a definition says, by the symbol it defines.
DEFINING_WORDS = {
    "λ": "Lamé parameter",
    "ν": r"λ / \(2",
    "Set stiffness": "Young's modulus that follows",
    "Shear modulus ratio": "hear modulus relative to",
    "Energy": "elastic energy density",
    "Strain": "oot mean square",
    "HD95": "95th percentile of",
    "Surface distance": "[Mm]ean (surface distance|distance between the surfaces)",
    "Similarity": "quared local correlation of",
}
GLOSSARY_FILE = MODULE / "TissueElasticRegistrationLib" / "core" / "data" / "glossary.py"


def texts(file: Path) -> list[str]:
    """All texts of a file that are no docstrings."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [node.value for node in found if id(node) not in docstrings]


@pytest.mark.parametrize("field", ["symbol", "name", "meaning"])
def test_no_two_quantities_share_a_name_or_a_meaning(field):
    values = [getattr(quantity, field) for quantity in GLOSSARY]
    assert len(set(values)) == len(values) > 10


@pytest.mark.parametrize("quantity", GLOSSARY, ids=lambda quantity: quantity.name)
def test_entry_is_complete(quantity: Quantity):
    assert quantity.name.isascii() and quantity.unit in ("", "mm", "%")
    assert re.fullmatch(r"[A-Z0-9].*[^.]", quantity.meaning)
    if quantity.layout:
        assert re.fullmatch(r"-?\d+(\.\d+)?", format(1.234, quantity.layout))


def test_heading_and_description_have_the_unit_only_where_there_is_one():
    assert (DICE.heading, HD95.heading, FOLDING.heading) == ("Dice", "HD95 mm", "Folding %")
    assert DICE.described == DICE.meaning and HD95.described.endswith(", in mm")
    assert FOLDING.described.endswith(", in percent")


@pytest.mark.parametrize(("symbol", "words"), DEFINING_WORDS.items())
def test_quantity_is_defined_nowhere_else(symbol, words):
    (definition,) = (quantity.meaning for quantity in GLOSSARY if quantity.symbol == symbol)
    assert re.search(words, definition)
    files = [file for file in sorted(MODULE.rglob("*.py")) if file != GLOSSARY_FILE]
    assert [file.name for file in files for text in texts(file) if re.search(words, text)] == []
    panel = (MODULE / "Resources" / "UI" / "TissueElasticRegistration.ui").read_text(encoding="utf-8")
    assert not re.search(words, panel)


def test_table_of_the_guide_is_the_glossary():
    rows = re.findall(r"^\| (?!quantity|---)(.+) \|$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    expected = [" | ".join((q.symbol, q.name, q.unit or "–", q.meaning)) for q in GLOSSARY]
    assert rows == expected
