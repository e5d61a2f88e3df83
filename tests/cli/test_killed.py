#!/usr/bin/env python3
"""kill -9 at random instants: each file is the old one or the new one, whole; a training that is
resumed ends in the same bytes; what was being written is cleared away by the next run.

KILLS=N in the environment asks for N kills (scripts/soak.sh), SEED for other instants.
"""

import json
import os
import random
import re
import struct
import subprocess
import sys
import time
import unittest
import zlib

import digits
from digits import BAD_DATA, DONE, CliTest

KILLS = int(os.environ.get("KILLS", "60"))
SEED = int(os.environ.get("SEED", "1"))

TEMPORARY = re.compile(r"\.nnlib-\d+-\d+\.tmp")


def is_whole_safetensors(content):
    """Whether header and tensors are there, as long as they say, and their CRC-32 is right."""
    if len(content) < 8:
        return False
    (length,) = struct.unpack("<Q", content[:8])
    try:
        header = json.loads(content[8:8 + length])
    except ValueError:
        return False
    facts = header.pop("__metadata__")
    data = content[8 + length:]
    end = max(tensor["data_offsets"][1] for tensor in header.values())
    return len(data) == end and facts["crc32"] == f"{zlib.crc32(data):08x}"


class KilledTest(CliTest):
    def setUp(self):
        super().setUp()
        self.chance = random.Random(SEED)
        self.kills = self.resumed = 0

    def tearDown(self):
        print(f"{self.kills} kills, {self.resumed} resumptions", file=sys.stderr)

    def path(self, name):
        return self.folder / name

    def kill(self, *arguments, within):
        """Runs the program and kills it at a random instant. Returns whether it had ended before;
        it must then have gone well."""
        process = subprocess.Popen(
            [str(digits.PROGRAM), *map(str, arguments)], cwd=self.folder,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env=digits.environment(self.folder))
        try:
            process.wait(self.chance.uniform(0, within))
        except subprocess.TimeoutExpired:
            process.kill()
            self.kills += 1
        err = process.communicate(timeout=300)[1].decode()
        if process.returncode == -9:
            return False
        self.assertEqual(process.returncode, 0, err)
        return True

    def duration(self, *arguments):
        """Runs the program to its end; returns the seconds that it took."""
        start = time.monotonic()
        self.digits(*arguments)
        return time.monotonic() - start

    def read(self, name):
        """The content of a file, or None."""
        return self.path(name).read_bytes() if self.path(name).exists() else None

    def temporaries(self, folder="."):
        return [name for name in os.listdir(self.path(folder)) if TEMPORARY.fullmatch(name)]


class Training(KilledTest):
    RECIPES = [
        ("--epochs", 3, "--every", 1),
        ("--epochs", 8, "--every", 7, "--activation", "relu", "--lr", 0.05, "--dropout", 0.3),
        ("--epochs", 12, "--dropout-mask", "epoch", "--dropout", 0.2, "--patience", 9),
    ]

    def check_log(self, least):
        """Whole lines, but for the last one; at least the epochs that the checkpoint counts."""
        *lines, last = (self.read("log") or b"").split(b"\n")
        events = [json.loads(line) for line in lines]
        epochs = [event["epoch"] for event in events if event["event"] == "epoch"]
        self.assertEqual(epochs, list(range(1, len(epochs) + 1)))
        self.assertGreaterEqual(len(epochs), least)
        self.assertTrue(last == b"" or last.startswith(b"{"))
        return [{key: value for key, value in event.items() if key != "seconds"}
                for event in events]

    def epochs_done(self):
        """How many epochs the checkpoint counts."""
        content = self.read("point")
        if content is None:
            return 0
        self.assertTrue(is_whole_safetensors(content))
        (length,) = struct.unpack("<Q", content[:8])
        begin = json.loads(content[8:8 + length])["epochs_done"]["data_offsets"][0]
        return struct.unpack("<Q", content[8 + length + begin:][:8])[0]

    def test_killed_training_leaves_whole_files_and_ends_in_the_same_bytes(self):
        wholes = []
        for recipe in self.RECIPES:
            command = ("train", "--data", digits.small_data(), "--quiet", *recipe, "--checkpoint",
                       "point", "--log", "log")
            seconds = self.duration(*command)
            wholes.append((command, seconds, self.read("model.safetensors"), self.check_log(0)))
            self.path("point").unlink()
        old = self.read("model.safetensors")
        resumed = 0
        while self.kills < KILLS * 0.6:
            command, seconds, model, log = wholes[self.chance.randrange(len(wholes))]
            for name in ("point", "log"):
                self.path(name).unlink(missing_ok=True)
            ended = False
            while not ended:
                resume = ("--resume", "point") if self.path("point").exists() else ()
                resumed += len(resume) // 2
                ended = self.kill(*command, *resume, within=1.1 * seconds)
                self.assertIn(self.read("model.safetensors"), (model,) if ended else (old, model))
                self.check_log(self.epochs_done())
                # Its own, and that of one killed before it could remove what others left.
                self.assertLessEqual(len(self.temporaries()), 3)
            self.assertEqual(self.check_log(0), log)
            self.assertEqual(self.temporaries(), [])
            old = model
        self.assertGreater(resumed, KILLS * 0.2)
        self.resumed = resumed


class Pictures(KilledTest):
    def test_killed_evaluation_leaves_whole_pictures_and_tables(self):
        wholes, seconds = {}, 0
        for seed in (1, 2):
            self.digits("train", "--data", digits.small_data(), "--epochs", 2, "--seed", seed,
                        "--out", f"model-{seed}")
            seconds = self.duration("eval", "--data", digits.small_data(), "--model",
                                    f"model-{seed}")
            for name in os.listdir(self.path("errors")):
                wholes.setdefault(name, set()).add(self.read(f"errors/{name}"))
        while self.kills < KILLS * 0.3:
            ended = self.kill("eval", "--data", digits.small_data(), "--model",
                              f"model-{self.chance.choice((1, 2))}", within=1.1 * seconds)
            strays = self.temporaries("errors")
            self.assertLessEqual(len(strays), 0 if ended else 2)
            for name in set(os.listdir(self.path("errors"))) - set(strays):
                self.assertIn(self.read(f"errors/{name}"), wholes[name], name)
        self.digits("eval", "--data", digits.small_data(), "--model", "model-1")
        self.assertEqual(self.temporaries("errors"), [])


class Data(KilledTest):
    def pair(self):
        """The training images and the labels that come with them."""
        return tuple(self.read(f"data/{name}.gz") for name in digits.NAMES[:2])

    def test_killed_drawing_of_digits_leaves_whole_files(self):
        wholes, pairs, seconds = {}, set(), 0
        commands = [("synth", "--out", "data", "--force", "--train", 400, "--test", 100, "--seed",
                     seed) for seed in (1, 2)]
        for command in commands:
            seconds = self.duration(*command)
            for name in os.listdir(self.path("data")):
                wholes.setdefault(name, set()).add(self.read(f"data/{name}"))
            pairs.add(self.pair())
        while self.kills < KILLS * 0.1:
            self.kill(*self.chance.choice(commands), within=1.1 * seconds)
            self.digits("train", "--data", "data", "--epochs", 1, "--hidden", 1,
                        code=DONE if self.pair() in pairs else BAD_DATA)
            strays = self.temporaries("data")
            self.assertLessEqual(len(strays), 2)
            for name in set(os.listdir(self.path("data"))) - set(strays):
                self.assertIn(self.read(f"data/{name}"), wholes[name], name)
        self.digits(*commands[0])
        self.assertEqual(self.temporaries("data"), [])


if __name__ == "__main__":
    unittest.main()
