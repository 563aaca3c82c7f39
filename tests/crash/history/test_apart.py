"""The checker shares nothing with the product: what both had wrong, neither would notice."""

from __future__ import annotations

import ast
from pathlib import Path

HERE = Path(__file__).parent


def imported(path: Path) -> set[str]:
    names = set[str]()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def test_no_module_of_it_imports_the_product_or_what_imports_it() -> None:
    files = sorted(HERE.glob("*.py"))
    assert len(files) > 10
    ours = {
        (path.name, name)
        for path in files
        for name in imported(path)
        if name.split(".")[0] in ("migctl", "tests") and not name.startswith("tests.crash.history")
    }
    assert ours == set()
