#!/usr/bin/env python3
"""`digits train --seed 1` writes the same bytes on every machine: those whose SHA-256 is in
tests/golden/models.sha256.

Where they are meant to change (another default recipe, another entry in the metadata):
tests/cli/test_digest.py --write, with DIGITS_DATA naming a folder that holds MNIST; the README
states the digest for MNIST as well."""

import hashlib
import subprocess
import sys
import unittest

import digits
from digits import FAILED, TOP, USAGE, CliTest, mnist, needs_mnist

DIGESTS = TOP / "tests" / "golden" / "models.sha256"
MNIST, SMALL = "mnist-seed-1", "generated-600-seed-1"
KERNELS = ("ref", "avx2", "avx512", "neon")


def read_digests():
    """The known digests by name; the file is laid out as sha256sum does."""
    lines = DIGESTS.read_text().splitlines() if DIGESTS.exists() else []
    return {name: digest for digest, name in (line.split() for line in lines)}


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def train(folder, data, name):
    """The digest of the model that the program, run as in README.md, makes of data."""
    subprocess.run([str(digits.PROGRAM), "train", "--seed", "1", "--quiet", "--data", str(data),
                    "--out", name], check=True, capture_output=True, cwd=folder,
                   env=digits.environment(folder))
    return sha256(folder / name)


class Digest(CliTest):
    def assert_trains_to(self, name, data, **env):
        self.digits("train", "--seed", 1, "--quiet", "--force", "--data", data, "--out", "model",
                    env=env)
        self.assertEqual(sha256(self.folder / "model"), read_digests()[name])

    def has_kernel(self, kernel):
        result = subprocess.run(
            [str(digits.PROGRAM), "train", "--data", str(digits.small_data()), "--epochs", "1",
             "--force", "--out", "any"], capture_output=True, cwd=self.folder,
            env=digits.environment(self.folder, NN_KERNEL=kernel))
        if result.returncode != 0:
            self.assertIn(result.returncode, (FAILED, USAGE))
            self.assertIn(b"which this processor or build has not", result.stderr)
        return result.returncode == 0

    def test_generated_digits_give_the_known_model(self):
        self.assert_trains_to(SMALL, digits.small_data())

    def test_generated_digits_give_the_known_model_with_every_kernel(self):
        tested = [kernel for kernel in KERNELS if self.has_kernel(kernel)]
        self.assertIn("ref", tested)
        for kernel in tested:
            with self.subTest(kernel=kernel):
                self.assert_trains_to(SMALL, digits.small_data(), NN_KERNEL=kernel)

    @needs_mnist
    def test_mnist_gives_the_known_model(self):
        self.assert_trains_to(MNIST, mnist())


def write():
    """Takes what the program makes now for what it should make."""
    found = read_digests()
    found[SMALL] = train(digits.shared(), digits.small_data(), "small")
    if mnist():
        found[MNIST] = train(digits.shared(), mnist(), "mnist")
    else:
        print(f"no MNIST in $DIGITS_DATA: {MNIST} is left as it was", file=sys.stderr)
    text = "".join(f"{found[name]}  {name}\n" for name in sorted(found, reverse=True))
    DIGESTS.write_text(text)
    print(text, end="")


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        write()
    else:
        unittest.main()
