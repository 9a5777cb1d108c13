# SPDX-License-Identifier: Apache-2.0
"""The layout's rules, held by reading the sources: who may include whom, and where a foreign
library may appear (docs/HACKING.md has them in words)."""
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("common", "store", "envelope", "lookup", "spool", "reader", "milter", "transport", "cli",
           "sandbox")

# folder -> folders whose headers it may include, besides its own
MAY_INCLUDE = {
    "common": set(),
    "store": {"common"},
    "envelope": {"common"},
    "lookup": {"common", "store", "envelope"},
    "spool": {"common", "store", "envelope"},
    "reader": {"common", "envelope"},
    "milter": {"common", "envelope", "lookup", "spool"},
    "transport": {"common", "store", "envelope", "lookup", "spool"},
    "cli": {"common", "store", "envelope", "lookup", "spool"},
    "sandbox": {"common", "envelope"},
}

# header of a foreign library -> the files that may include it (path prefixes)
LIBRARIES = {
    r"libmilter/": ("milter/",),
    r"gmime/": ("reader/",),
    r"(pango|cairo|poppler|qpdf)": ("reader/",),
    r"magic\.h": ("reader/",),
    r"libxml/HTML": ("reader/",),
    r"db\.h": ("store/kv_bdb",),
    r"curl/": ("common/http.c",),
    r"(libxml|xmlsec)/": ("envelope/",),
    r"zip\.h": ("envelope/",),
    r"microhttpd\.h": ("sandbox/",),
    r"confuse\.h": ("common/conf",),
    r"seccomp\.h": ("common/privs",),
    r"opendkim/": ("milter/",),
}


def sources():
    return sorted(p for f in FOLDERS for p in (ROOT / f).glob("*.[ch]"))


def includes(path):
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        m = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
        if m:
            yield number, m.group(1), m.group(2)


def breaches_of_layers(path, root):
    folder = path.relative_to(root).parts[0]
    for number, bracket, name in includes(path):
        if bracket != '"' or name == "config.h":
            continue
        other = name.split("/")[0]
        if other != folder and other not in MAY_INCLUDE[folder]:
            yield f"{path.relative_to(root)}:{number} includes {name}"
        elif "/" not in name:
            yield f"{path.relative_to(root)}:{number} includes {name} without its folder"


def breaches_of_libraries(path, root):
    where = path.relative_to(root).as_posix()
    for number, bracket, name in includes(path):
        for pattern, allowed in LIBRARIES.items():
            if bracket == "<" and re.match(pattern, name) and not where.startswith(allowed):
                if name.startswith("libxml/HTML") and pattern.startswith("(libxml"):
                    continue
                yield f"{where}:{number} includes <{name}>, only {', '.join(allowed)} may"


def test_folders_include_only_what_is_below_them():
    assert sources()
    assert [b for p in sources() for b in breaches_of_layers(p, ROOT)] == []


def test_foreign_libraries_stay_in_their_folder():
    assert [b for p in sources() for b in breaches_of_libraries(p, ROOT)] == []


@pytest.mark.parametrize("where, line, found", [
    ("common/a.c", '#include "milter/session.h"', True),
    ("milter/a.c", '#include "transport/lmtp.h"', True),
    ("sandbox/a.c", '#include "store/kv.h"', True),
    ("milter/a.c", '#include "session.h"', True),
    ("lookup/a.c", "#include <db.h>", True),
    ("transport/a.c", "#include <curl/curl.h>", True),
    ("milter/a.c", '#include "envelope/sealed.h"', False),
    ("envelope/a.c", "#include <libxml/tree.h>", False),
])
def test_a_breach_is_found(tmp_path, where, line, found):
    path = tmp_path / where
    path.parent.mkdir()
    path.write_text(line + "\n")
    breaches = [*breaches_of_layers(path, tmp_path), *breaches_of_libraries(path, tmp_path)]
    assert bool(breaches) == found


def test_main_is_alone_outside_the_libraries():
    """main.c has main() and nothing a test would want to link."""
    for path in sources():
        has_main = re.search(r"^main\(", path.read_text(encoding="utf-8"), re.M)
        assert bool(has_main) == (path.name == "main.c"), path


def test_files_open_with_licence_and_purpose():
    for path in sources():
        text = path.read_text(encoding="utf-8")
        assert text.startswith("/* SPDX-License-Identifier: Apache-2.0 */\n"), path
        if path.suffix == ".c":
            assert text.split("\n")[1].startswith("/*"), f"{path} does not say its job"
        else:
            guard = re.search(r"#ifndef (\w+)\n#define \1\n", text)
            assert guard and "/*" in text[guard.end():], f"{path} has no guard or purpose"
