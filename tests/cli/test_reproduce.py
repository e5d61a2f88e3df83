#!/usr/bin/env python3
"""`digits reproduce` says whether a model comes out the same, byte for byte; what differs, if it
does not; and leaves nothing behind."""

import hashlib
import os
import signal
import struct
import subprocess
import tempfile
import unittest
import zlib

import digits
from digits import (BAD_DATA, BAD_MODEL, DIVERGED, FAILED, INTERRUPTED, USAGE, CliTest, read_model,
                    small_data, small_model, write_model)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


class ReproduceTest(CliTest):
    def reproduce(self, model=None, *arguments, **options):
        """Asks for the model on the small data; nothing may change, and no file may stay."""
        with self.unchanged(), tempfile.TemporaryDirectory() as scratch:
            result = self.digits("reproduce", model or small_model(), "--data",
                                 options.pop("data", small_data()), "--quiet", *arguments,
                                 env={"TMPDIR": scratch, **options.pop("env", {})}, **options)
            self.assertEqual(os.listdir(scratch), [])
        return result

    def train(self, *arguments, **options):
        self.digits("train", "--data", small_data(), "--epochs", 2, "--quiet", "--out", "model",
                    *arguments, **options)
        return self.folder / "model"

    def changed(self, weights=None, remove=(), **facts):
        """A sound copy of the small model with other parameters {number: value} or metadata."""
        header, tensors = read_model(small_model())
        tensors = bytearray(tensors)
        for k, value in (weights or {}).items():
            tensors[4 * k:4 * k + 4] = struct.pack("<f", value)
        metadata = header["__metadata__"]
        metadata.update({key.replace("_", "-"): value for key, value in facts.items()})
        metadata["crc32"] = f"{zlib.crc32(tensors):08x}"
        for key in remove:
            del metadata[key]
        write_model(self.folder / "changed", header, bytes(tensors))
        return self.folder / "changed"


class Same(ReproduceTest):
    def test_a_model_comes_out_the_same(self):
        result = self.reproduce()
        self.assertEqual(result.err, "")
        self.assertEqual(result.out.splitlines(), [
            f"same        '{small_model()}' comes out the same, byte for byte",
            f"SHA-256     {sha256(small_model())}"])

    def test_so_do_models_of_every_kind(self):
        for options in (["--hidden", "none", "--seed", 2**64 - 1],
                        ["--hidden", "20,17", "--activation", "relu", "--init", "he", "--lr", 0.01],
                        ["--dropout", 0.3, "--input-dropout", 0.1, "--dropout-mask", "epoch"],
                        ["--validation", 0, "--batch", 1000, "--decay", 1e-3, "--l2", 0],
                        ["--epochs", 40, "--patience", 1, "--lr", 1, "--momentum", 0.95]):
            with self.subTest(options=options):
                self.reproduce(self.train(*options))

    def test_other_kernels_make_the_same(self):
        self.reproduce(env={"NN_KERNEL": "ref"})

    def test_what_was_saved_when_training_diverged_comes_out_the_same(self):
        # One step an epoch, and each multiplies the weights by about 1 - lr * l2 = -1.5.
        model = self.train("--lr", 2.5, "--l2", 1, "--momentum", 0, "--decay", 0, "--batch", 600,
                           "--epochs", 50, code=DIVERGED)
        self.reproduce(model)

    def test_json_says_so(self):
        result = self.reproduce(None, "--json").json()
        digest = sha256(small_model())
        self.assertEqual(result, {
            "model": str(small_model()), "same": True, "sha256": digest,
            "reproduced_sha256": digest, "parameters": {"total": 11935, "different": 0},
            "metadata": {}})

    def test_progress_is_shown_unless_quiet(self):
        result = self.digits("reproduce", small_model(), "--data", small_data())
        self.assertIn("network     784 -> 15 sigmoid", result.out)
        self.assertIn("  8/8 ", result.err)


class Different(ReproduceTest):
    def test_parameters_that_differ_are_counted_and_the_first_is_named(self):
        model = self.changed({4000: 0.5, 784 * 15 + 3: 0.25})
        result = self.reproduce(model, code=FAILED)
        self.assertIn("parameters  2 of 11,935 differ\n", result.out)
        self.assertRegex(result.out, r"first fc1\.weight\[5\]\[80\]: 0\.5 in the model, \S+ now\n")
        self.assertIn("metadata    all are the same", result.out)
        self.assertIn(sha256(model), result.out)
        self.assertIn(sha256(small_model()), result.out)
        self.assertEqual(result.err, "")

    def test_json_says_so(self):
        result = self.reproduce(self.changed({784 * 15 + 3: 0.25}, program="digits 9"), "--json",
                                code=FAILED).json()
        self.assertIs(result["same"], False)
        self.assertEqual(result["parameters"],
                         {"total": 11935, "different": 1, "first": "fc1.bias[3]"})
        self.assertEqual(result["metadata"]["program"]["model"], "digits 9")

    def test_metadata_that_differ_are_named(self):
        result = self.reproduce(self.changed(program="digits\x1b[1m", lr="0.30"), code=FAILED)
        self.assertIn("parameters  all 11,935 are the same\n", result.out)
        self.assertRegex(result.out, r"metadata    2 of \d+ entries differ\n")
        self.assertIn("lr: '0.30' in the model, '0.3' now\n", result.out)
        self.assertIn("program: 'digits?[1m' in the model, 'digits ", result.out)

    def test_another_seed_is_another_model(self):
        result = self.reproduce(self.changed(seed="2"), code=FAILED)
        self.assertRegex(result.out, r"parameters  1?\d,\d{3} of 11,935 differ")

    def test_a_header_laid_out_otherwise_is_told(self):
        model = self.folder / "other"
        write_model(model, *read_model(small_model()))
        self.assertNotEqual(sha256(model), sha256(small_model()))
        result = self.reproduce(model, code=FAILED)
        self.assertIn("all are the same; another program wrote the file's header", result.out)


class Refused(ReproduceTest):
    def test_other_data_are_refused_with_both_digests(self):
        self.digits("synth", "--out", "other", "--train", 600, "--test", 10, "--seed", 2)
        result = self.reproduce(data=self.folder / "other", code=BAD_DATA)
        self.assertEqual(result.out, "")
        metadata = read_model(small_model())[0]["__metadata__"]
        _, images = digits.read_idx(self.folder / "other" / (digits.TRAIN_IMAGES + ".gz"))
        other = hashlib.sha256(digits.idx([600, 28, 28], images)).hexdigest()
        self.assertIn(f"SHA-256 in the model  {metadata['images-sha256']}\n", result.err)
        self.assertIn(f"SHA-256 of the file   {other}\n", result.err)

    def test_missing_data_are_refused(self):
        self.reproduce(data=self.folder / "nowhere", code=BAD_DATA)

    def test_models_that_do_not_say_how_they_were_trained_are_refused(self):
        for key in ("lr", "seed", "hidden", "dropout-mask", "images-sha256"):
            with self.subTest(key=key):
                result = self.reproduce(self.changed(remove=[key]), code=BAD_MODEL)
                self.assertIn("does not say how it was trained: its metadata have no "
                              f"'{key}'\n", result.err)

    def test_models_that_say_nonsense_are_refused(self):
        for key, value in (("lr", "-1"), ("epochs", "0"), ("hidden", "15,,2"), ("seed", ""),
                           ("activation", "softmax"), ("validation", "600"), ("l2", "nan")):
            with self.subTest(key=key, value=value):
                result = self.reproduce(self.changed(**{key: value}), code=BAD_MODEL)
                self.assertIn(f"'{key}'", result.err)
                self.assertEqual(result.out, "")

    def test_a_model_whose_options_make_another_network_is_refused(self):
        result = self.reproduce(self.changed(hidden="16"), code=BAD_MODEL)
        self.assertIn("contradicts itself", result.err)

    def test_files_that_are_no_models_are_refused(self):
        (self.folder / "text").write_text("no model")
        for name in ("text", "missing"):
            self.reproduce(self.folder / name, code=BAD_MODEL)

    def test_an_interrupted_model_is_refused(self):
        result = self.reproduce(self.changed(outcome="interrupted"), code=FAILED)
        self.assertIn("its training was interrupted", result.err)

    def test_exactly_one_model_is_wanted(self):
        self.digits("reproduce", code=USAGE)
        self.digits("reproduce", "a", "b", code=USAGE)

    def test_a_temporary_folder_that_is_missing_is_a_failure(self):
        result = self.digits("reproduce", small_model(), "--data", small_data(), "--quiet",
                             code=FAILED, env={"TMPDIR": self.folder / "none"})
        self.assertIn("cannot make a temporary folder", result.err)


class Interrupted(ReproduceTest):
    def test_ctrl_c_stops_and_nothing_is_said_of_the_model(self):
        model = self.train()
        header, tensors = read_model(model)
        header["__metadata__"]["epochs"] = "1000000"
        write_model(model, header, tensors)
        process = subprocess.Popen(
            [str(digits.PROGRAM), "reproduce", str(model), "--data", str(small_data())],
            cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=digits.environment(self.folder, TMPDIR=self.folder))
        for line in process.stderr:
            if b" 1/1000000 " in line:
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, INTERRUPTED, err)
        self.assertIn(b"is not known", err)
        self.assertNotIn(b"same", out)
        self.assertEqual(os.listdir(self.folder), ["model"])


if __name__ == "__main__":
    unittest.main()
