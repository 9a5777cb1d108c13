# SPDX-License-Identifier: Apache-2.0
"""Documents say what the code does: the table of refusals, and the settings."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]


def error_kinds():
    """kind -> (answer, English text), from the table in common/err.h and texts_en.def."""
    table = (ROOT / "common/err.h").read_text(encoding="utf-8")
    answers = {m[1]: f"{m[2]} {m[3]}" for m in
               re.finditer(r'X\((\w+), (\d{3}), "([\d.]+)"\)', table)}
    texts = dict(re.findall(r'^T\((\w+), "(.*)"\)',
                            (ROOT / "common/texts_en.def").read_text(encoding="utf-8"), re.M))
    assert answers.keys() == texts.keys()
    return {kind: (answers[kind], texts[kind]) for kind in answers}


def test_refusals_are_all_documented_as_they_are():
    document = (ROOT / "docs/refusals.md").read_text(encoding="utf-8")
    rows = {m[1]: (m[2], m[3]) for m in
            re.finditer(r"^\| (\w+) \| (\d{3} [\d.]+) \| (.*?) \|", document, re.M)}
    assert rows == error_kinds()


def test_every_language_has_every_text():
    kinds = error_kinds().keys()
    for path in (ROOT / "common").glob("texts_*.def"):
        text = path.read_text(encoding="utf-8")
        assert dict(re.findall(r'^T\((\w+), "(.*)"\)', text, re.M)).keys() == kinds, path
        assert text.isascii(), path
