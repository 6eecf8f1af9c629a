"""What SECURITY.md says is defended. Redirects and bodies: test_http, test_fuzz; the snapshot: test_publish."""

import ast
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from orchestration import settings
from orchestration.archive import Archive, Asked
from orchestration.settings import Settings, SettingsError, shown
from orchestration.sources.body import Body, SourceError, Window
from orchestration.sources.http import Host, Http, Patience

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted((ROOT / "orchestration").rglob("*.py"))
ONCE = Patience(tries=1, connect=2.0, read=2.0)


# --- TLS


@pytest.fixture(scope="module")
def impostor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a TLS server on this machine whose certificate nobody vouches for."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    path.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain) + certificate.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "variable", [None, "PYTHONHTTPSVERIFY", "CURL_INSECURE", "REQUESTS_VERIFY", "ALTFLOW_INSECURE"]
)
def test_a_certificate_that_nobody_vouches_for_is_refused(impostor: int, variable: str | None, monkeypatch):
    if variable:
        monkeypatch.setenv(variable, "0" if variable == "PYTHONHTTPSVERIFY" else "1")
    http = Http(patience=ONCE)
    with pytest.raises(SourceError, match=r"(?i)certificate"):
        http.get(Host("impostor", (f"localhost:{impostor}",), 600, 10), "/x")
    http.close()


def test_nothing_in_the_code_switches_the_verification_off():
    off = {"verify", "CERT_NONE", "check_hostname", "_create_unverified_context", "disable_warnings"}
    for path in MODULES:
        text = path.read_text()
        if not any(name in text for name in off):
            continue
        for node in ast.walk(ast.parse(text)):
            name = getattr(node, "arg", getattr(node, "attr", getattr(node, "id", None)))
            assert name not in off, f"{path}:{getattr(node, 'lineno', 0)} {name}"


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1:8000", "http://example.com", "ftp://127.0.0.1", "127.0.0.1:1", "http://["]
)
def test_without_tls_only_this_machine_is_asked(url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ALTFLOW_UPSTREAMS", url)
    with pytest.raises(SettingsError, match="ALTFLOW_UPSTREAMS"):
        settings.load()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000", "http://localhost:1/x", "http://[::1]:9", "https://example.com"]
)
def test_a_sandbox_on_this_machine_or_behind_tls_is_asked(url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ALTFLOW_UPSTREAMS", url)
    assert settings.load().upstreams == url


# --- secrets


def test_passwords_of_a_netrc_go_to_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import requests

    (tmp_path / "netrc").write_text("default login me password secret\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    http = Http()
    session = http._state(Host("one", ("one.example",), 60, 1)).session
    request = requests.Request("GET", "https://one.example/x")
    assert "Authorization" in requests.Session().prepare_request(request).headers
    assert "Authorization" not in session.prepare_request(request).headers


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://user:secret@host.example/path?token=secret#secret", "https://host.example/path"),
        ("s3://key:secret@bucket/folder", "s3://bucket/folder"),
        ("tcp://:secret@10.0.0.1:8786", "tcp://10.0.0.1:8786"),
        ("/data/archive", "/data/archive"),
        ("https://host.example:8443/", "https://host.example:8443/"),
        ("http://[secret", "an address that cannot be read"),
    ],
)
def test_messages_quote_addresses_without_secrets(url: str, told: str):
    assert shown(url) == told


def test_settings_do_not_print_their_addresses():
    held = Settings(
        "live", Path("d"), upstreams="https://u:secret@h", trade_archive="s3://secret", dask_scheduler="secret"
    )
    assert "secret" not in repr(held)


def test_an_archive_that_cannot_be_read_is_named_without_its_password(tmp_path: Path):
    from orchestration.reduce import Task, reduce_file
    from orchestration.sources import bybit

    for place in ("nothing://user:secret@host/file", "file://user:secret@host/none.csv"):
        with pytest.raises(SourceError) as caught:
            reduce_file(Task(place, "bybit file", bybit.LAYOUT, "X"))
        assert "secret" not in str(caught.value)


# --- names from outside

HOSTILE_NAMES = (
    "../../escaped",
    "/escaped",
    "..",
    "a/../../b",
    "a\\..\\b",
    "x\x00y",
    "'; DROP TABLE raw.runs; --",
    "~root",
)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_name_from_outside_makes_no_path(name: str, tmp_path: Path):
    archive = Archive(tmp_path / "archive")
    url = f"https://x.example/{name}"
    body = Body("binance", "spot_flows", url, 200, datetime(2026, 3, 1), b"[]", {"symbol": name})
    entry = archive.append(body, Asked(name, Window(date(2026, 3, 1), date(2026, 3, 2)), 0, 1, 0), "run")
    archive.sync()
    archive.close()
    assert entry.pack == "binance/2026-03/run.pack"
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert files - {"dagster/dagster.yaml"} == {"archive/binance/2026-03/run.pack"}
    assert [each.asked.scope for each in archive.entries()] == [name]


@pytest.mark.parametrize("path", ["spot/../../secret.csv", "../secret.csv", "spot//secret.csv", "./secret.csv"])
def test_a_listing_leads_nowhere_outside_of_a_trade_archive(path: str, tmp_path: Path):
    from types import SimpleNamespace
    from typing import Any, cast

    from orchestration.asking.files import _Files
    from orchestration.sources import bybit
    from orchestration.sources.exchange import TradeFiles
    from orchestration.sources.trades import TradeFile

    (tmp_path / "secret.csv").write_text("1,1772323200000,1,1,buy\n")
    asking = cast(Any, SimpleNamespace(mirror=str(tmp_path / "mirror"), pool=None))
    assert isinstance(bybit.EXCHANGE.flows, TradeFiles)
    at = datetime(2026, 3, 1)
    file = TradeFile(f"https://public.bybit.com/{path}", "X", at, at + timedelta(days=1), at)
    with pytest.raises(SourceError, match="leads out of ALTFLOW_TRADE_ARCHIVE"):
        _Files(asking, "bybit", bybit.EXCHANGE.flows).read(file)


# --- SQL

QUOTED = {"quoted", "_escaped"}
"""functions that double the quotation marks of a value that cannot be a parameter (ATTACH, COPY, COMMENT)"""
CONSTANT = {"STORAGE_VERSION", "record.description"}
"""of this code, never from outside"""


def quoted_values(tree: ast.AST) -> list[str]:
    """Values that an f-string with SQL puts between single quotation marks without doubling those inside."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.JoinedStr):
            continue
        constant = "".join(str(part.value) if isinstance(part, ast.Constant) else "?" for part in node.values)
        if not any(
            word in constant for word in ("SELECT ", "INSERT ", "FROM ", "WHERE ", "ATTACH ", "COPY ", "COMMENT ")
        ):
            continue
        before = ""
        for part in node.values:
            if isinstance(part, ast.Constant):
                before += str(part.value)
            elif isinstance(part, ast.FormattedValue) and before.count("'") % 2:
                value = part.value
                is_safe = isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in QUOTED
                if not is_safe and ast.unparse(value) not in CONSTANT:
                    found.append(ast.unparse(value))
    return found


def test_values_reach_sql_as_parameters():
    """What stands in an f-string is a name of this code (tables and columns of the records), never between quotation
    marks: a value goes in as a parameter."""
    for path in MODULES:
        text = path.read_text()
        assert "'{" not in text or not quoted_values(ast.parse(text)), path


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("f\"SELECT 1 FROM t WHERE a = '{name}'\"", 1),
        ("f\"ATTACH '{quoted(path)}' AS other\"", 0),
        ('f"SELECT {columns} FROM raw.{table} WHERE a = ?"', 0),
        ("f\"no answer from '{name}'\"", 0),
    ],
)
def test_the_detector_of_quoted_values_bites(code: str, count: int):
    assert len(quoted_values(ast.parse(code))) == count


# --- who may listen and write


def test_nothing_listens_but_on_loopback():
    for path in MODULES:
        text = path.read_text()
        assert '"0.0.0.0"' not in text and '"::"' not in text, path


def test_nobody_else_may_write_what_a_command_makes():
    code = (
        "import os; os.umask(0); from orchestration import cli; "
        "cli.main = lambda: print(f'{os.umask(0):03o}') or 0; cli.entry()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=dict(os.environ))
    assert done.stdout.strip() == "022", done.stderr
