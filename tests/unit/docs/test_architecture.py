"""The page that draws the house says what import-linter holds, and what is there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]

Floors = list[list[str]]


def drawn() -> Floors:
    picture = re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert picture is not None
    rows = [line.strip("| ") for line in picture[1].splitlines() if line.startswith("| ")]
    return [[room.strip() for room in row.split("|")] for row in rows]


def held() -> Floors:
    """As the contract has them. A room in parentheses may be missing."""
    floors = next(contract for contract in CONTRACTS if contract["name"].startswith("Floors"))["layers"]
    return [[room.strip(" ()").removeprefix("migctl.") for room in floor.split("|")] for floor in floors]


def there() -> set[str]:
    found = {path.name for path in (ROOT / "migctl").iterdir() if (path / "__init__.py").is_file()}
    return found | {path.stem for path in (ROOT / "migctl").glob("*.py") if not path.name.startswith("__")}


def table(title: str) -> dict[str, str]:
    """The rows of the table whose first column is called so."""
    found = re.search(rf"^\| {title} \|.*?\n\|---.*?\n(.*?)\n\n", PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None
    return dict(re.findall(r"^\| `([^`]+)` \| (.+) \|$", found[1], re.MULTILINE))


def test_the_picture_has_the_floors_that_the_contract_holds_and_the_rooms_that_are_there() -> None:
    built = [[room for room in floor if room in there()] for floor in held()]
    assert drawn() == [floor for floor in built if floor]


def test_every_room_is_on_a_floor() -> None:
    assert {room for floor in held() for room in floor} >= there()


def test_every_room_that_is_drawn_is_explained_in_the_same_order() -> None:
    assert list(table("room")) == [room for floor in drawn() for room in floor]


def test_every_wing_is_explained() -> None:
    wings = {
        f"{path.parent.relative_to(ROOT / 'migctl')}/" for path in (ROOT / "migctl").glob("*/*/__init__.py")
    }
    assert set(table("wing")) == wings


def test_every_contract_is_told_by_its_name() -> None:
    for contract in CONTRACTS:
        assert f"- **{contract['name']}.**" in PAGE, contract["name"]


def test_the_contracts_that_list_rooms_forget_none() -> None:
    """One that leaves out a new room would let it in."""
    exempt = {
        "Only cli knows typer and rich": {"cli"},
        "Only runtime knows which journal it is": {"runtime", "journal"},
    }
    for contract in CONTRACTS:
        if contract["name"] in exempt:
            sources = {each.removeprefix("migctl.").split(".")[0] for each in contract["source_modules"]}
            assert sources >= there() - exempt[contract["name"]], contract["name"]


def test_the_contracts_of_wings_forget_none() -> None:
    """A module that is named in none of their layers fails the contract, not only what it would have let in."""
    of_wings = [contract for contract in CONTRACTS if "containers" in contract]
    assert len(of_wings) >= 3
    assert [contract["name"] for contract in of_wings if not contract.get("exhaustive")] == []
