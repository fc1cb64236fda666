"""Downloads end: at the size that is known, after a time, and where a server is none."""

import hashlib
import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lookalike.lab import download as lab
from lookalike.weights import download

OK = b"HTTP/1.1 200 OK\r\n"


@contextmanager
def serving(*answers: bytes | Callable[[socket.socket], object]) -> Iterator[tuple[str, list[bytes]]]:
    """A server that gives each connection the next of some answers, whatever it asks; and what was asked."""
    asked: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for answer in answers:
            connection, _ = listener.accept()
            with connection:
                asked.append(connection.recv(65536))
                try:
                    if callable(answer):
                        answer(connection)
                    else:
                        connection.sendall(answer)
                except OSError:  # who asked has left
                    continue

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/file", asked
    finally:
        while thread.is_alive() and len(asked) < len(answers):  # what nobody asked for
            socket.create_connection(listener.getsockname()).close()
            thread.join(0.05)
        thread.join()
        listener.close()


def refused(tmp_path: Path, *answers: bytes | Callable[[socket.socket], object], most: int = 100) -> str:
    with serving(*answers) as (address, _), pytest.raises(OSError) as caught:  # noqa: PT011 - what it says is returned
        download.stream(address, tmp_path / "file", most=most)
    said = str(caught.value)
    assert "\n" not in said
    assert "\x1b" not in said
    return said


def for_ever(*parts: bytes) -> Callable[[socket.socket], object]:
    """Send some parts, and the last of them for ever."""

    def answer(connection: socket.socket) -> None:
        for part in itertools.chain(parts, itertools.repeat(parts[-1])):
            connection.sendall(part)

    return answer


def test_a_file_comes_whole(tmp_path: Path) -> None:
    for head in (b"Content-Length: 5\r\n\r\n", b"\r\n"):
        with serving(OK + head + b"12345") as (address, asked):
            assert download.stream(address, tmp_path / "file", most=5) == 5
        assert (tmp_path / "file").read_bytes() == b"12345"
        assert b"User-Agent: lookalike" in asked[0]


def test_more_than_the_known_size_is_left(tmp_path: Path) -> None:
    assert "it offers 101 bytes, where at most 100" in refused(tmp_path, OK + b"Content-Length: 101\r\n\r\n")
    assert "it sends more than the 100 bytes" in refused(tmp_path, for_ever(OK + b"\r\n", b"x" * 4096))
    chunk = b"a\r\n0123456789\r\n"
    chunked = for_ever(OK + b"Transfer-Encoding: chunked\r\n\r\n", chunk)
    assert "it sends more than the 100 bytes" in refused(tmp_path, chunked)
    assert (tmp_path / "file").stat().st_size <= 100


def test_less_than_was_offered_is_an_error(tmp_path: Path) -> None:
    assert "ended after 3 of 9 bytes" in refused(tmp_path, OK + b"Content-Length: 9\r\n\r\n123")


@pytest.mark.parametrize(
    "parts",
    [
        (OK + b"\r\n", b"x"), (OK + b"Content-Length: 100000\r\n\r\n", b"x"), (OK, b"X-Slow: y\r\n"),
        (b"HTTP/1.1 ", b"2"),
    ],
)  # fmt: skip
def test_a_server_that_drips_is_left_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: tuple[bytes, ...]
) -> None:
    """On a clock of its own, by which every look at it takes a minute."""
    now = itertools.count(0.0, 60.0)
    monkeypatch.setattr(download, "clock", lambda: next(now))
    said = refused(tmp_path, for_ever(*parts), most=100_000)
    assert "took too long" in said or "does not answer as a web server" in said


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"nonsense\r\n\r\n", b"\x1b[31mHTTP\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"SSH-2.0-OpenSSH\r\n",
        b"\0" * 70000, OK + b"a: b\r\n" * 300 + b"\r\n", OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        OK + b"X: " + b"y" * 70000 + b"\r\n\r\n",
    ],
)  # fmt: skip
def test_what_is_no_web_server_is_one_clear_error(tmp_path: Path, answer: bytes) -> None:
    assert refused(tmp_path, answer)


@pytest.mark.parametrize("status", [b"404 Not Found", b"500 Broken", b"403 Forbidden", b"416 No"])
def test_an_error_of_the_server_is_said(tmp_path: Path, status: bytes) -> None:
    assert status[:3].decode() in refused(tmp_path, b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize(
    "place", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,abc", "FILE:///etc/hosts", "gopher://x"]
)
def test_redirects_lead_to_the_web_alone(tmp_path: Path, place: str) -> None:
    answer = f"HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode()
    assert refused(tmp_path, answer)
    assert not (tmp_path / "file").exists()


def test_redirects_to_the_web_are_followed_and_do_not_go_round(tmp_path: Path) -> None:
    with serving(OK + b"\r\n123") as (there, _):
        moved = f"HTTP/1.1 302 Found\r\nLocation: {there}\r\nContent-Length: 0\r\n\r\n".encode()
        with serving(moved) as (address, _):
            assert download.stream(address, tmp_path / "file", most=10) == 3
    again = b"HTTP/1.1 302 Found\r\nLocation: /file\r\nContent-Length: 0\r\n\r\n"
    assert "302" in refused(tmp_path, *[again] * 11)


@pytest.mark.parametrize(
    "address", ["file:///etc/passwd", "ftp://x/y", "no address", "http://", "http://127.0.0.1:0/"]
)
def test_other_addresses_are_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(OSError, match=r"\S"):
        download.stream(address, tmp_path / "file", most=10)


def test_what_is_there_is_continued_where_the_server_continues_it(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_bytes(b"123")
    part = b"HTTP/1.1 206 Partial\r\nContent-Range: bytes 3-4/5\r\nContent-Length: 2\r\n\r\n45"
    with serving(part) as (address, asked):
        assert download.stream(address, place, most=5, resume=True) == 5
    assert b"Range: bytes=3-" in asked[0]
    assert place.read_bytes() == b"12345"
    place.write_bytes(b"123")
    with serving(OK + b"\r\nabcde") as (address, _):  # it sends all of it again
        assert download.stream(address, place, most=5, resume=True) == 5
    assert place.read_bytes() == b"abcde"
    place.write_bytes(b"123")
    other = part.replace(b"bytes 3-4/5", b"bytes 0-1/5")
    with serving(other) as (address, _), pytest.raises(OSError, match="another part of the file"):
        download.stream(address, place, most=5, resume=True)
    assert place.read_bytes() == b"123"


def test_a_data_set_of_another_hash_or_size_is_not_kept(tmp_path: Path) -> None:
    content = b"no such zip"
    wrong = lab.Archive("", len(content), hashlib.sha256(b"another").hexdigest())
    with serving(OK + b"\r\n" + content) as (address, _), pytest.raises(ValueError, match="with sha256"):
        lab.fetch("monet2photo", tmp_path, archive=lab.Archive(address, wrong.size, wrong.sha256))
    assert list(tmp_path.iterdir()) == []
    with (
        serving(for_ever(OK + b"\r\n", b"x" * 999)) as (address, _),
        pytest.raises(ConnectionError, match="more"),
    ):
        lab.fetch("monet2photo", tmp_path, archive=lab.Archive(address, wrong.size, wrong.sha256))
    with serving(b"nonsense\r\n\r\n") as (address, _), pytest.raises(ConnectionError, match="web server"):
        lab.fetch("monet2photo", tmp_path, archive=lab.Archive(address, wrong.size, wrong.sha256))
