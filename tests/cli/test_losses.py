#!/usr/bin/env python3
"""`digits train --output --loss`: every sensible pairing trains, the others are refused at once."""

import unittest

import digits
from digits import USAGE, CliTest, read_model

OUTPUTS = ("sigmoid", "tanh", "relu", "leaky-relu", "identity", "softmax")
AUTOMATIC = {"softmax": "cross-entropy", "sigmoid": "binary-cross-entropy"}
PAIRS = {("softmax", "cross-entropy"), ("sigmoid", "binary-cross-entropy")} | {
    (output, "squared-error") for output in OUTPUTS if output != "softmax"}


class Losses(CliTest):
    def train(self, *arguments, **options):
        return self.digits("train", "--data", digits.small_data(), "--epochs", 8, "--lr", 0.05,
                           "--out", "m.safetensors", *arguments, **options)

    def facts(self):
        return read_model(self.folder / "m.safetensors")[0]["__metadata__"]

    def test_every_sensible_pair_learns(self):
        for output, loss in sorted(PAIRS):
            with self.subTest(output=output, loss=loss):
                self.train("--output", output, "--loss", loss)
                facts = self.facts()
                self.assertEqual((facts["output"], facts["loss"]), (output, loss))
                accuracy = self.digits("eval", "--model", "m.safetensors", "--data",
                                       digits.small_data(), "--errors", "errors",
                                       "--json").json()["accuracy"]
                self.assertGreater(accuracy, 0.2)

    def test_the_other_pairs_are_refused_before_anything_is_read(self):
        for output in OUTPUTS:
            for loss in ("cross-entropy", "binary-cross-entropy", "squared-error"):
                if (output, loss) not in PAIRS:
                    with self.subTest(output=output, loss=loss), self.unchanged():
                        result = self.digits("train", "--data", "nowhere", "--output", output,
                                             "--loss", loss, code=USAGE)
                        self.assertIn(f"loss {loss} does not go with {output}", result.err)
                        self.assert_one_line(result.err)

    def test_the_loss_follows_the_output(self):
        for output in OUTPUTS:
            with self.subTest(output=output):
                self.train("--output", output, "--epochs", 1)
                self.assertEqual(self.facts()["loss"], AUTOMATIC.get(output, "squared-error"))

    def test_the_default_is_softmax_with_cross_entropy(self):
        self.train("--epochs", 1)
        default = (self.folder / "m.safetensors").read_bytes()
        self.train("--epochs", 1, "--output", "softmax", "--loss", "cross-entropy")
        self.assertEqual((self.folder / "m.safetensors").read_bytes(), default)


if __name__ == "__main__":
    unittest.main()
