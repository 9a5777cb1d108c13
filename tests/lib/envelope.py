# SPDX-License-Identifier: Apache-2.0
"""The envelope library through tests/tools/envelope_tool, and one package to try things on."""

import os
import pathlib
import subprocess
import zipfile

import pytest

from pki import Party, cert_pem

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BREVDUE_BUILD", ROOT / "build"))
TOOL = BUILD / "tests" / "tools" / "envelope_tool"
DPI = ROOT.parent / "shared" / "spec" / "dpi"
MIMETYPE = b"application/vnd.etsi.asic-e+zip"
XADES_ID = "http://uri.etsi.org/01903/v1.3.2#:SignedProperties"
TITLES = ["Svar på «søknad» <b> & \"sitat\" 'x'", "Vilkår", "Bilde 😀"]
LETTER_ID = "00112233445566778899aabbccddeeff"

needs_spec = pytest.mark.skipif(not DPI.is_dir(), reason=f"no {DPI}: official schemas and samples")


def run(*command, **options):
    return subprocess.run([str(c) for c in command], capture_output=True, timeout=60, **options)


def good(*command, **options):
    done = run(*command, **options)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


def tool(*arguments):
    return good(TOOL, *arguments)


def refusal(*arguments):
    """The error text of a command that must fail in an orderly way."""
    done = run(TOOL, *arguments)
    assert done.returncode == 1, (done.returncode, done.stdout[:200], done.stderr[-2000:])
    return done.stderr.decode()


class World:
    """Certificates and one package, made once."""

    def __init__(self, folder):
        self.folder = folder
        self.root = Party([("C", "NO"), ("O", "Test"), ("CN", "Test Root CA")], ca=True)
        self.ca = Party([("C", "NO"), ("O", "Test, \"A\"+B"), ("orgid", "NTRNO-987654325"),
                         ("CN", "Utsteder Æ")], issuer=self.root, ca=True)
        self.sender = Party([("C", "NO"), ("O", "Kommunen"), ("orgid", "NTRNO-123456785"),
                             ("CN", "Kommunen")], issuer=self.ca)
        self.mailbox = Party([("C", "NO"), ("serial", "984661185"), ("CN", "Postkasse")],
                             issuer=self.ca, usage=("key_encipherment", "data_encipherment"))
        self.key, self.cert, self.chain = self.sender.write(folder, "sender")
        self.mailbox_key, self.mailbox_cert, _ = self.mailbox.write(folder, "mailbox")
        self.roots = folder / "roots.pem"
        self.roots.write_bytes(cert_pem(self.root.cert, self.ca.cert))
        self.root_only = folder / "root.pem"
        self.root_only.write_bytes(cert_pem(self.root.cert))
        self.files = [("brev.html", "text/html", b"<p>Hei</p>\n" * 50),
                      ("vedlegg-01.pdf", "application/pdf", os.urandom(100000)),
                      ("vedlegg-02.txt", "text/plain", b"")]
        arguments = []
        for (href, mime, data), title in zip(self.files, TITLES):
            (folder / href).write_bytes(data)
            arguments += [href, mime, title, folder / href]
        self.asice = folder / "package.asice"
        tool("package", self.key, self.chain, "kari.test#1ABC", "nb", "123456785", "123456785:skole",
             "F-77", self.asice, *arguments)
        self.printed = folder / "print.asice"
        tool("package", self.key, self.chain, "-", "nn", "123456785", "-", "-", self.printed,
             *arguments[:4])
        self.cms = folder / "package.cms"
        tool("encrypt", self.mailbox_cert, self.asice, self.cms)
        self.seal_key = folder / "seal.key"
        self.seal_key.write_bytes(os.urandom(32))
        self.seal_key.chmod(0o600)

    def unpacked(self, folder):
        with zipfile.ZipFile(self.asice) as z:
            z.extractall(folder)
        return folder


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    assert TOOL.exists(), f"{TOOL} is not built: make check_PROGRAMS"
    return World(tmp_path_factory.mktemp("envelope"))
