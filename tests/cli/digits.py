"""What the command-line tests share: running the program, small data, a trained model, snapshots.

The environment variable DIGITS names the program; without it, ./digits at the top is tested.
Tests on real MNIST run if DIGITS_DATA names a folder that holds it.
"""

import atexit
import contextlib
import functools
import gzip
import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("DIGITS") or TOP / "digits").resolve()

DONE, FAILED, USAGE, BAD_DATA, BAD_MODEL, DIVERGED, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
NAMES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)

N_TRAIN, N_TEST = 600, 200  # of the small data set


# ---- running ------------------------------------------------------------------------------


def environment(home, **extra):
    """The environment of a user who has set nothing, and whose home is empty."""
    kept = {k: v for k, v in os.environ.items()
            if k == "PATH" or k.startswith(("ASAN_", "UBSAN_", "LSAN_", "TSAN_", "NN_"))}
    kept.update(HOME=str(home), LC_ALL="C.UTF-8", TERM="xterm-256color")
    for key, value in extra.items():
        if value is None:
            kept.pop(key, None)
        else:
            kept[key] = str(value)
    return kept


class Result:
    def __init__(self, completed):
        self.code = completed.returncode
        self.out = completed.stdout.decode("utf-8", "replace")
        # A program built to measure coverage may not be allowed to write down what it measured.
        self.err = re.sub(r"(?m)^profiling:.*\n", "", completed.stderr.decode("utf-8", "replace"))

    def json(self):
        return json.loads(self.out)

    def __str__(self):
        return f"exit code {self.code}\n--- stdout\n{self.out}--- stderr\n{self.err}"


class CliTest(unittest.TestCase):
    """Each test runs the program in a folder of its own, which is also its home."""

    maxDiff = None

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="digits-test-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def digits(self, *arguments, code=DONE, env=None, **options):
        """Runs the program; the test fails unless its exit code is as expected."""
        result = Result(subprocess.run(
            [str(PROGRAM), *map(str, arguments)], capture_output=True, timeout=900,
            cwd=options.pop("cwd", self.folder), env=environment(self.folder, **(env or {})),
            stdin=subprocess.DEVNULL, **options))
        if code is not None:
            self.assertEqual(result.code, code, f"digits {' '.join(map(str, arguments))}\n{result}")
        for word in ("Sanitizer", "runtime error"):
            self.assertNotIn(word, result.err)
        return result

    @contextlib.contextmanager
    def unchanged(self, folder=None):
        """Asserts that nothing below a folder is made, changed or removed meanwhile."""
        folder = folder or self.folder
        before = snapshot(folder)
        yield
        self.assertEqual(snapshot(folder), before)

    def assert_one_line(self, text):
        self.assertRegex(text, r"\A[^\n]+\n\Z")


def snapshot(folder):
    """Names, kinds, times and digests of all that a folder holds."""
    return {str(path.relative_to(folder)): describe(path) for path in Path(folder).rglob("*")}


def describe(path):
    info = path.lstat()
    readable = path.is_file() and os.access(path, os.R_OK)
    digest = hashlib.sha256(path.read_bytes()).hexdigest() if readable else None
    return info.st_mode, info.st_mtime_ns, digest


# ---- files --------------------------------------------------------------------------------


def idx(dims, payload, kind=0x08):
    """The bytes of an IDX file."""
    return bytes([0, 0, kind, len(dims)]) + struct.pack(f">{len(dims)}I", *dims) + bytes(payload)


def read_idx(path):
    """Dimensions and payload of a file of bytes."""
    data = Path(path).read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    n_dims = data[3]
    return struct.unpack(f">{n_dims}I", data[4:4 + 4 * n_dims]), data[4 + 4 * n_dims:]


def png(pixels, width, height, colour=0, depth=8):
    """The bytes of a PNG file; pixels are as the colour type wants them."""

    def chunk(name, body):
        return (struct.pack(">I", len(body)) + name + body +
                struct.pack(">I", zlib.crc32(name + body)))

    stride = len(pixels) // height
    rows = b"".join(b"\0" + pixels[y * stride:(y + 1) * stride] for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) +
            chunk(b"IEND", b""))


def jpeg(blocks, columns, progressive=False, orientation=1):
    """The bytes of a grey JPEG file (ITU T.81) whose blocks of 8 x 8 pixels have one value each.
    orientation is EXIF's, from 1 to 8."""

    def segment(marker, body):
        return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + bytes(body)

    bits, last = "", 0
    for value in blocks:  # the difference to the block before: its length in 4 bits, then itself
        difference, last = value - last, value
        size = abs(difference).bit_length()
        bits += f"{size:04b}"
        if size > 0:
            bits += f"{difference if difference > 0 else difference + 2 ** size - 1:0{size}b}"
        bits += "" if progressive else "0"  # no other coefficients
    bits += "1" * (-len(bits) % 8)
    scan = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    exif = b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    size = struct.pack(">BHHB", 8, len(blocks) // columns * 8, columns * 8, 1)
    lengths = bytes(3) + bytes([11]) + bytes(12)  # eleven codes of 4 bits: 0 to 10
    return (b"\xff\xd8" + segment(0xE1, exif) + segment(0xDB, [0] + [8] * 64) +
            segment(0xC2 if progressive else 0xC0, size + bytes([1, 0x11, 0])) +
            segment(0xC4, b"\0" + lengths + bytes(range(11))) +
            (b"" if progressive else segment(0xC4, b"\x10" + bytes([1]) + bytes(15) + b"\0")) +
            segment(0xDA, bytes([1, 1, 0, 0, 0 if progressive else 63, 0])) + scan + b"\xff\xd9")


def read_png_gray(path):
    """Width, height and pixels of a grey 8-bit PNG without interlacing."""
    data = Path(path).read_bytes()
    at, packed = 8, b""
    while at < len(data):
        (length,), name = struct.unpack(">I", data[at:at + 4]), data[at + 4:at + 8]
        body = data[at + 8:at + 8 + length]
        if name == b"IHDR":
            width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", body)
        elif name == b"IDAT":
            packed += body
        at += 12 + length
    assert (depth, colour, interlaced) == (8, 0, 0)
    return width, height, unfilter(zlib.decompress(packed), width, height)


def unfilter(raw, width, height):
    """Undoes the row filters of PNG (ISO/IEC 15948, section 9)."""
    rows, above = [], bytes(width)
    for y in range(height):
        kind, row = raw[y * (width + 1)], bytearray(raw[y * (width + 1) + 1:(y + 1) * (width + 1)])
        for x in range(width):
            a, b, c = row[x - 1] if x else 0, above[x], above[x - 1] if x else 0
            p = a + b - c
            paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            row[x] = (row[x] + (0, a, b, (a + b) // 2, paeth)[kind]) % 256
        rows.append(bytes(row))
        above = row
    return b"".join(rows)


def read_model(path):
    """The JSON header and the tensor bytes of a safetensors file."""
    data = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8:8 + length]), data[8 + length:]


def write_model(path, header, tensors):
    text = json.dumps(header).encode()
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + tensors)


# ---- what is made once --------------------------------------------------------------------


@functools.lru_cache(maxsize=None)
def shared():
    """A folder for what several tests use and none changes."""
    folder = Path(tempfile.mkdtemp(prefix="digits-shared-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def run_checked(*arguments):
    subprocess.run([str(PROGRAM), *map(str, arguments)], check=True, capture_output=True,
                   timeout=300, cwd=shared(), env=environment(shared()))


@functools.lru_cache(maxsize=None)
def small_data():
    """A folder with few generated digits."""
    run_checked("synth", "--out", "data", "--train", N_TRAIN, "--test", N_TEST, "--seed", 1)
    return shared() / "data"


@functools.lru_cache(maxsize=None)
def small_model():
    """A model trained a little on the small data: right more often than not."""
    run_checked("train", "--data", small_data(), "--epochs", 8, "--out", "small.safetensors")
    return shared() / "small.safetensors"


@functools.lru_cache(maxsize=None)
def mnist():
    """The folder with the real MNIST, or None; told by the digests of the test files."""
    folder = os.environ.get("DIGITS_DATA")
    if not folder:
        return None
    result = subprocess.run([str(PROGRAM), "inspect", "--json", TEST_LABELS + ".gz"], cwd=folder,
                            capture_output=True, env=environment(folder))
    counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    found = result.returncode == 0 and json.loads(result.stdout)["labels"] == counts
    return Path(folder).resolve() if found else None


def needs_mnist(test):
    return unittest.skipUnless(mnist(), "needs DIGITS_DATA to name a folder with MNIST")(test)


@functools.lru_cache(maxsize=None)
def python_with_numpy():
    """A Python that has NumPy: this one, or the system's; None if neither has."""
    for python in (sys.executable, "/usr/bin/python3"):
        with contextlib.suppress(OSError):
            if subprocess.run([python, "-c", "import numpy"], capture_output=True).returncode == 0:
                return python
    return None
