#!/usr/bin/env python3
"""scripts/fetch_mnist.sh brings good files or none, whatever the sources send.

Runs by itself: the sources are folders and small servers on 127.0.0.1, the files a few kilobytes
made here. With DIGITS_DATA set, the real MNIST is taken from there as well.
"""

import gzip
import hashlib
import http.server
import os
import random
import re
import shutil
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "fetch_mnist.sh"
KINDS = ("images-idx3", "labels-idx1")
NAMES = [f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in KINDS]
DATA = {name: random.Random(name).randbytes(20_000) for name in NAMES}
PACKED = {name: gzip.compress(data, mtime=0) for name, data in DATA.items()}
IMAGES = NAMES[0]


class Server:
    """An HTTP server of files {path: bytes} that keeps a list of (path, Range header) asked for."""

    def __init__(self, files, ranges=True, cut_at=None):
        self.asked = []
        asked = self.asked

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                wanted = self.headers.get("Range")
                asked.append((self.path, wanted))
                body = files.get(self.path.lstrip("/"))
                if body is None:
                    self.send_error(404)
                    return
                start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and ranges else 0
                if start >= len(body):
                    self.send_error(416)
                    return
                self.send_response(206 if start else 200)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
                self.send_header("Content-Length", str(len(body) - start))
                self.end_headers()
                self.wfile.write(body[start:cut_at])

            def log_message(self, *_):
                pass

        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.httpd.server_port}/"
        threading.Thread(target=self.httpd.serve_forever, args=(0.01,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.httpd.shutdown()
        self.httpd.server_close()


class Fetch(unittest.TestCase):
    def setUp(self):
        self.scratch = Path(tempfile.mkdtemp(prefix="test_fetch."))
        self.addCleanup(shutil.rmtree, self.scratch)
        self.to = self.scratch / "to"
        self.digests = self.scratch / "digests"
        lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in DATA.items()]
        self.digests.write_text("".join(lines))

    def run_script(self, *args, **more_env):
        return subprocess.run(
            [SCRIPT, *map(str, args)],
            env=dict(os.environ, HOME=str(self.scratch), no_proxy="127.0.0.1", **more_env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def fetch(self, *sources, to=None):
        froms = [arg for source in sources for arg in ("--from", source)]
        return self.run_script("--digests", self.digests, "--to", to or self.to, *froms)

    def folder(self, files):
        """Makes a folder that holds files {name: bytes}."""
        path = Path(tempfile.mkdtemp(dir=self.scratch))
        for name, content in files.items():
            (path / name).write_bytes(content)
        return path

    def mirror(self, changes=None):
        """The files of a good mirror, {name.gz: bytes}, with changes."""
        return {f"{name}.gz": PACKED[name] for name in NAMES} | (changes or {})

    def start_with(self, name, content):
        """Puts a file into the folder to fetch to, before the script runs."""
        self.to.mkdir(exist_ok=True)
        (self.to / name).write_bytes(content)

    def in_target(self):
        return sorted(path.name for path in self.to.iterdir()) if self.to.exists() else []

    def assert_complete(self, result):
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(self.in_target(), sorted(f"{name}.gz" for name in NAMES))
        for name in NAMES:
            self.assertEqual(gzip.decompress((self.to / f"{name}.gz").read_bytes()), DATA[name])

    def assert_refused(self, result):
        self.assert_failed(result, "is not the file it should be", "error: could not get")
        self.assertFalse(self.to.exists())

    def assert_failed(self, result, *said):
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertEqual(result.stdout, "")
        for text in said:
            self.assertIn(text, result.stderr)


class FromFolder(Fetch):
    def test_takes_compressed_files(self):
        self.assert_complete(self.fetch(self.folder(self.mirror())))

    def test_takes_plain_files_and_compresses_them(self):
        self.assert_complete(self.fetch(self.folder(DATA)))

    def test_takes_names_with_a_dot_before_idx(self):
        dotted = [name.replace("-idx", ".idx") for name in NAMES]
        files = {dotted[0]: DATA[NAMES[0]], dotted[1]: DATA[NAMES[1]]}
        files |= {f"{dotted[2]}.gz": PACKED[NAMES[2]], f"{dotted[3]}.gz": PACKED[NAMES[3]]}
        self.assert_complete(self.fetch(self.folder(files)))

    def test_does_nothing_when_all_files_are_good(self):
        source = self.folder(self.mirror())
        self.fetch(source)
        before = {path: path.stat() for path in self.to.iterdir()}
        result = self.fetch(source)
        self.assert_complete(result)
        self.assertRegex(result.stderr, r"\Anothing to do: [^\n]*\n\Z")
        for path, stat in before.items():
            self.assertEqual(path.stat().st_mtime_ns, stat.st_mtime_ns)

    def test_leaves_good_files_of_another_name_alone(self):
        plain = IMAGES.replace("-idx", ".idx")
        self.start_with(plain, DATA[IMAGES])
        result = self.fetch(self.folder(self.mirror()))
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn(plain, self.in_target())
        self.assertNotIn(f"{IMAGES}.gz", self.in_target())

    def test_refuses_a_wrong_digest_and_leaves_nothing(self):
        source = self.folder(self.mirror({f"{IMAGES}.gz": gzip.compress(b"other digits")}))
        self.assert_refused(self.fetch(source))

    def test_refuses_truncated_and_overlong_files(self):
        for content in (PACKED[IMAGES][:-1], PACKED[IMAGES] + b"more"):
            source = self.folder(self.mirror({f"{IMAGES}.gz": content}))
            self.assert_refused(self.fetch(source))

    def test_replaces_a_bad_file_only_once_a_good_one_is_there(self):
        self.start_with(f"{IMAGES}.gz", b"bad")
        self.assert_failed(self.fetch(self.folder({})), f"there is no '{IMAGES}'")
        self.assertEqual((self.to / f"{IMAGES}.gz").read_bytes(), b"bad")
        self.assert_complete(self.fetch(self.folder(self.mirror())))

    def test_a_bad_file_of_another_name_does_not_stay_to_hide_the_good_one(self):
        self.start_with(IMAGES, b"bad")
        self.assert_complete(self.fetch(self.folder(self.mirror())))

    def test_goes_on_to_the_next_folder(self):
        good = self.folder(self.mirror())
        self.assert_complete(self.fetch(self.scratch / "none", self.folder({}), good))

    def test_copes_with_blanks_in_names(self):
        self.to = self.scratch / "a folder" / "of mine"
        source = self.folder(self.mirror()).rename(self.scratch / "a source")
        self.assert_complete(self.fetch(source))

    @unittest.skipUnless(os.environ.get("DIGITS_DATA"), "DIGITS_DATA is not set")
    def test_takes_the_real_mnist(self):
        result = self.run_script("--from", os.environ["DIGITS_DATA"], "--to", self.to)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(self.in_target(), sorted(f"{name}.gz" for name in NAMES))


@unittest.skipUnless(shutil.which("curl"), "curl is not installed")
class FromAddress(Fetch):
    def test_downloads_each_file_once(self):
        with Server(self.mirror()) as server:
            self.assert_complete(self.fetch(server.url))
            self.assertEqual(server.asked, [(f"/{name}.gz", None) for name in NAMES])
            self.assert_complete(self.fetch(server.url))
            self.assertEqual(len(server.asked), len(NAMES))

    def test_takes_file_addresses(self):
        self.assert_complete(self.fetch(self.folder(self.mirror()).as_uri()))

    def test_goes_on_where_a_part_ends(self):
        self.start_with(f"{IMAGES}.gz.part", PACKED[IMAGES][:7000])
        with Server(self.mirror()) as server:
            self.assert_complete(self.fetch(server.url))
        self.assertEqual(server.asked[0], (f"/{IMAGES}.gz", "bytes=7000-"))
        self.assertEqual(len(server.asked), len(NAMES))

    def test_keeps_what_arrived_when_the_connection_drops(self):
        with Server(self.mirror(), cut_at=9000) as broken:
            self.assert_failed(self.fetch(broken.url), "error: could not get")
        self.assertEqual((self.to / f"{IMAGES}.gz.part").read_bytes(), PACKED[IMAGES][:9000])
        self.assertEqual(self.in_target(), [f"{IMAGES}.gz.part"])
        with Server(self.mirror()) as server:
            self.assert_complete(self.fetch(server.url))
        self.assertEqual(server.asked[0], (f"/{IMAGES}.gz", "bytes=9000-"))

    def test_the_next_mirror_goes_on_where_the_first_stopped(self):
        with Server(self.mirror(), cut_at=9000) as broken, Server(self.mirror()) as server:
            self.assert_complete(self.fetch(broken.url, server.url))
        self.assertEqual(server.asked[0], (f"/{IMAGES}.gz", "bytes=9000-"))

    def test_a_whole_part_needs_no_download(self):
        self.start_with(f"{IMAGES}.gz.part", PACKED[IMAGES])
        with Server(self.mirror()) as server:
            self.assert_complete(self.fetch(server.url))
        self.assertEqual(len(server.asked), len(NAMES) - 1)

    def test_starts_again_when_a_part_is_corrupt(self):
        for part in (b"corrupt" * 1000, PACKED[IMAGES] + b"too long"):
            with self.subTest(length=len(part)), Server(self.mirror()) as server:
                shutil.rmtree(self.to, ignore_errors=True)
                self.start_with(f"{IMAGES}.gz.part", part)
                self.assert_complete(self.fetch(server.url))
                ranges = [wanted for _, wanted in server.asked[:2]]
                self.assertEqual(ranges, [f"bytes={len(part)}-", None])

    def test_starts_again_when_the_server_cannot_go_on(self):
        self.start_with(f"{IMAGES}.gz.part", PACKED[IMAGES][:7000])
        with Server(self.mirror(), ranges=False) as server:
            self.assert_complete(self.fetch(server.url))

    def test_keeps_a_part_while_no_server_answers(self):
        self.start_with(f"{IMAGES}.gz.part", PACKED[IMAGES][:7000])
        with Server({}) as server:
            self.assert_failed(self.fetch(server.url), "404")
        self.assertEqual(self.in_target(), [f"{IMAGES}.gz.part"])

    def test_goes_on_to_the_next_mirror(self):
        page = b"<html>log in to the network</html>"
        with Server({}) as empty, Server({name: page for name in self.mirror()}) as portal:
            with Server(self.mirror()) as good:
                gone = "http://127.0.0.1:9/"  # the discard port: nobody listens
                result = self.fetch(gone, empty.url, portal.url, good.url)
        self.assert_complete(result)
        self.assertIn(f"{portal.url}{IMAGES}.gz' is not the file it should be", result.stderr)

    def test_refuses_a_wrong_digest_and_leaves_nothing(self):
        with Server(self.mirror({f"{IMAGES}.gz": gzip.compress(b"other digits")})) as server:
            self.assert_refused(self.fetch(server.url))

    def test_asks_both_mirrors_in_order_and_says_that_neither_answers(self):
        fake = self.folder({"curl": b'#!/bin/sh\nfor last; do :; done\necho "$last" >&2\nexit 6\n'})
        (fake / "curl").chmod(0o755)
        result = self.run_script("--to", self.to, PATH=f"{fake}:{os.environ['PATH']}")
        self.assert_failed(result, "error: could not get")
        hosts = re.findall(rf"^https://([^/]*)/.*/{IMAGES}\.gz$", result.stderr, re.MULTILINE)
        self.assertEqual(hosts, ["ossci-datasets.s3.amazonaws.com", "storage.googleapis.com"])
        self.assertFalse(self.to.exists())


class Usage(Fetch):
    def assert_wrong_usage(self, *args):
        result = self.run_script(*args)
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertEqual(result.stdout, "")
        self.assertRegex(result.stderr, r"\Aerror: [^\n]*\n\Z")
        self.assertFalse(self.to.exists())

    def test_help_goes_to_stdout_and_names_every_option(self):
        result = self.run_script("--help")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        for option in ("--from", "--to", "--digests", "--quiet", "--help"):
            self.assertIn(f"  {option} ", result.stdout)

    def test_refuses_what_it_does_not_know(self):
        self.assert_wrong_usage("--form", "x")
        self.assert_wrong_usage("x")
        self.assert_wrong_usage("--to", self.to, "--from")

    def test_digests_need_a_source_and_a_target(self):
        self.assert_wrong_usage("--digests", self.digests, "--to", self.to)
        self.assert_wrong_usage("--digests", self.digests, "--from", self.scratch)

    def test_refuses_digests_that_are_none(self):
        good = "0" * 64
        for text in ("", "hello\n", f"{good}  ../escape\n", f"{good}  a/b\n", f"{good[1:]}  a\n"):
            with self.subTest(text=text):
                self.digests.write_text(text)
                self.assert_wrong_usage(
                    "--digests", self.digests, "--from", self.scratch, "--to", self.to
                )

    def test_quiet_says_nothing_but_what_went_wrong(self):
        args = ("--quiet", "--digests", self.digests, "--to", self.to, "--from")
        result = self.run_script(*args, self.folder({}))
        self.assertEqual(result.returncode, 1)
        self.assertEqual(len(result.stderr.splitlines()), 2)
        result = self.run_script(*args, self.folder(self.mirror()))
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))

    def test_the_default_target_follows_the_data_home(self):
        set_home = self.scratch / "set"
        for value, home in (str(set_home), set_home), ("", self.scratch / ".local" / "share"):
            target = home / "digits" / "mnist" / f"{IMAGES}.gz"
            target.mkdir(parents=True)  # in the way, so that the message names it
            result = self.run_script("--from", self.scratch, XDG_DATA_HOME=value)
            self.assert_failed(result, f"'{target}' is a folder")


del Fetch  # not itself a test

if __name__ == "__main__":
    unittest.main()
