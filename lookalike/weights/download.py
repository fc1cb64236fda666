"""One file from a web server, with an end: of bytes, of time, and of where a redirect may lead."""

from __future__ import annotations

import functools
import http.client
import io
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

SILENCE_S = 30.0  # how long a server may say nothing
_GRACE_S = 120.0  # and how long it may take altogether: this, and the size at the slowest rate that is waited for
_SLOWEST = 32 * 1024  # bytes a second
_CHUNK = 1 << 18

clock: Callable[[], float] = time.monotonic


def seconds_for(size: int) -> float:
    """How long a download of a size may take altogether.

    Example:
        >>> seconds_for(0), seconds_for(32 * 1024 * 60)
        (120.0, 180.0)
    """
    return _GRACE_S + size / _SLOWEST


def stream(
    address: str,
    place: Path,
    *,
    most: int,
    resume: bool = False,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> int:
    """Download a file.

    Args:
        address: http or https; redirects lead to nothing else, and from https to https alone.
        place: where the bytes go; what stands there is replaced, or continued.
        most: bytes that the file may have; a server that sends or offers more is left.
        resume: ask for what is missing of the file at ``place`` only.
        progress: told how many bytes are there, and of how many (0 where the server does not say).

    Returns:
        How many bytes the file has.

    Raises:
        OSError: for a server that cannot be reached, answers with an error or no HTTP at all, sends too much, stops
            early, or takes too long; what came stays at ``place``.
    """
    have = place.stat().st_size if resume and place.exists() else 0
    headers = {"User-Agent": "lookalike", **({"Range": f"bytes={have}-"} if have else {})}
    ends = clock() + seconds_for(most)
    try:
        request = urllib.request.Request(address, headers=headers)
        with _opener(ends, request.type).open(request, timeout=SILENCE_S) as answer:
            continued = answer.status == 206 and _begins_at(answer, have)
            if answer.status == 206 and not continued:
                raise OSError("it answered with another part of the file than the one asked for")
            with place.open("ab" if continued else "wb") as out:
                return _copied(answer, out, have if continued else 0, most, progress)
    except urllib.error.HTTPError as error:
        error.close()
        raise OSError(f"HTTP {error.code} {' '.join(str(error.reason).split())[:200]}") from None
    except http.client.HTTPException as error:
        said = " ".join(repr(str(error))[1:-1].split())
        raise OSError(f"it does not answer as a web server does ({type(error).__name__}: {said[:200]})") from None
    except ValueError as error:  # an address that is none
        raise OSError(" ".join(str(error).split())) from None


def _copied(answer: Any, out: IO[bytes], done: int, most: int, progress: Callable[[int, int], object]) -> int:
    length = answer.headers.get("Content-Length")
    total = done + int(length) if length is not None and length.isdecimal() else 0
    if total > most:
        raise OSError(f"it offers {total:,} bytes, where at most {most:,} are expected")
    progress(done, total)
    while chunk := answer.read1(_CHUNK):
        done += len(chunk)
        if done > most:
            raise OSError(f"it sends more than the {most:,} bytes that are expected")
        out.write(chunk)
        progress(done, total)
    if total and done != total:
        raise OSError(f"the connection ended after {done} of {total} bytes")
    return done


def _begins_at(answer: Any, have: int) -> bool:
    return str(answer.headers.get("Content-Range", "")).startswith(f"bytes {have}-")


class _UntilTheEnd(io.RawIOBase):
    """A socket that is read until a time: every byte of the answer is waited for on the same clock."""

    def __init__(self, sock: socket.socket, ends: float) -> None:
        self._socket, self._ends = sock, ends

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """What has come, or what comes before the end."""
        left = self._ends - clock()
        if left <= 0:
            raise TimeoutError("it took too long altogether")
        self._socket.settimeout(min(SILENCE_S, left))
        return self._socket.recv_into(buffer)


class _Answer(http.client.HTTPResponse):
    """An answer that has an end, from its first line on."""

    def __init__(self, sock: socket.socket, *args: Any, ends: float, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        whole = self.fp  # keeps the socket open until the answer is closed
        self.fp = _Reader(_UntilTheEnd(sock, ends), whole)


class _Reader(io.BufferedReader):
    """Closes the file that it stands for."""

    def __init__(self, raw: io.RawIOBase, whole: Any) -> None:
        super().__init__(raw)
        self._whole = whole

    def close(self) -> None:
        """Close both."""
        super().close()
        self._whole.close()


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Redirects to http and https; from https to https alone."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """The request that follows; what the server says beside the redirect is not read, it may have no end."""
        fp.close()
        scheme = newurl.partition(":")[0].lower()
        if scheme not in ("http", "https") or (req.type == "https" and scheme != "https"):
            raise urllib.error.URLError(f"it redirects to {newurl[:200]!r}, which is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(ends: float, scheme: str) -> urllib.request.OpenerDirector:
    """Opens http and https, through the proxies that this machine names, and nothing else."""
    if scheme not in ("http", "https"):
        raise ValueError(f"an address is http or https, got {scheme}")
    answer: Any = functools.partial(_Answer, ends=ends)

    class Plain(http.client.HTTPConnection):
        response_class = answer

    class Secure(http.client.HTTPSConnection):
        response_class = answer

    class PlainHandler(urllib.request.HTTPHandler):
        def http_open(self, req: urllib.request.Request) -> Any:
            return self.do_open(Plain, req)

    class SecureHandler(urllib.request.HTTPSHandler):
        def https_open(self, req: urllib.request.Request) -> Any:
            return self.do_open(Secure, req)

    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(), urllib.request.UnknownHandler(), PlainHandler(), SecureHandler(),
        _Redirects(), urllib.request.HTTPDefaultErrorHandler(), urllib.request.HTTPErrorProcessor(),
    ):  # fmt: skip
        opener.add_handler(handler)
    return opener
