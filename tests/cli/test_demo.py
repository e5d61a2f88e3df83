#!/usr/bin/env python3
"""`digits demo` shows what the source notes describe, with the figures that they print.

Each demonstration's text is compared with tests/golden/demo-NAME.txt (written anew by
DIGITS_UPDATE_GOLDEN=1), and the notes' own figures are looked for one by one. There is no MNIST
here: those on digits run on generated ones. Lines that start with "time" are left out.
"""

import math
import os
import re
import unittest

import digits
from digits import BAD_DATA, FAILED, TOP, USAGE, CliTest, needs_mnist

NAMES = ("perceptron", "activations", "linear", "xor", "backprop", "graph", "numeric", "steps",
         "descent", "vanishing", "dropout", "approximate")
ON_DIGITS = ("numeric", "descent", "vanishing", "dropout")
PICTURES = {"perceptron": "lines", "activations": "curves", "xor": "regions", "descent": "cost",
            "vanishing": "norms", "approximate": "fits"}
GOLDEN = TOP / "tests" / "golden"


def without_time(text):
    return "".join(line for line in text.splitlines(True) if not line.startswith("time"))


def number_after(text, start):
    """The first number that follows a piece of text."""
    match = re.search(re.escape(start) + r"\s*(-?\d+(?:\.\d+)?)", text)
    assert match, f"no number after {start!r} in\n{text}"
    return float(match.group(1))


class DemoTest(CliTest):
    results = {}  # of what has been run, by its arguments: they are the same each time

    def demo(self, *arguments):
        if arguments not in self.results:
            self.results[arguments] = self.digits("demo", *arguments)
        return self.results[arguments]


class Texts(DemoTest):
    """The text of a demonstration is what it was, on every machine and with all kernels."""

    def check(self, name):
        text = without_time(self.demo(name).out)
        path = GOLDEN / f"demo-{name}.txt"
        if os.environ.get("DIGITS_UPDATE_GOLDEN"):
            path.write_text(text)
        self.assertEqual(text, path.read_text())
        for line in text.splitlines():
            self.assertLessEqual(len(line), 80, line)
            self.assertTrue(line.isascii(), line)
        return text

    def test_each_is_as_recorded(self):
        for name in NAMES:
            with self.subTest(name):
                self.check(name)

    def test_the_reference_kernels_give_the_same_text(self):
        for name in ("xor", "approximate", "vanishing"):
            with self.subTest(name):
                text = without_time(self.digits("demo", name, env={"NN_KERNEL": "ref"}).out)
                self.assertEqual(text, (GOLDEN / f"demo-{name}.txt").read_text())

    def test_the_seed_decides(self):
        for name in ("xor", "linear", "steps"):
            with self.subTest(name):
                one, same = (self.digits("demo", name, "--seed", 7).out for _ in range(2))
                self.assertEqual(one, same)
                self.assertNotEqual(one, self.digits("demo", name, "--seed", 8).out)

    def test_each_says_what_to_notice_and_where_to_read_on(self):
        for name in NAMES:
            with self.subTest(name):
                text = (GOLDEN / f"demo-{name}.txt").read_text()
                self.assertIn("\nNotice: ", text)
                self.assertRegex(text, r"\nRead on: [A-Z][^.]*\((19|20)\d\d\)")


class Figures(DemoTest):
    """Figures from the source notes and from arithmetic, not from earlier runs."""

    def text(self, *arguments):
        return self.demo(*arguments).out

    def numbers(self, *arguments):
        return self.demo(*arguments, "--json").json()

    # ---- back-propagation: note A --------------------------------------------------------

    def test_backprop_prints_every_figure_of_the_note(self):
        text = self.text("backprop")
        for start, figure in (("a10 = sigmoid(z10) =", 0.53), ("a11 = sigmoid(z11) =", 0.54),
                              ("y1  = sigmoid(z20) =", 0.57), ("y2  = sigmoid(z21) =", 0.61),
                              ("t2 - y2)^2] / 2 =", 0.072), ("y1 - t1      =", 0.37),
                              ("y1 (1 - y1)  =", 0.25), ("dE/dw(1)10 = 0.37 * 0.25 * 0.53 =", 0.048),
                              ("w(1)10 <- 0.4 - 0.3 * 0.048 =", 0.386),
                              ("dE/dw(0)10 =", 0.0034),
                              ("w(0)10 <- 0.2 - 0.3 * 0.0034 =", 0.199)):
            self.assertEqual(number_after(text, start), figure, start)

    def test_backprop_finds_each_slope_in_three_ways(self):
        rows = self.numbers("backprop")["weights"]
        self.assertEqual(len(rows), 8)
        for row in rows:
            self.assertAlmostEqual(row["back_propagation"], row["differences"], delta=1e-6)
            self.assertAlmostEqual(row["graph"], row["differences"], delta=1e-8)
            self.assertAlmostEqual(row["new"], row["start"] - 0.3 * row["differences"], delta=1e-5)

    def test_backprop_agrees_with_python(self):
        def sigmoid(a):
            return 1 / (1 + math.exp(-a))
        a10, a11 = sigmoid(0.2 * 0.4 + 0.6 * 0.1), sigmoid(0.2 * 0.4 + 0.7 * 0.1)
        y1, y2 = sigmoid(0.4 * a10 + 0.1 * a11), sigmoid(0.1 * a10 + 0.7 * a11)
        found = self.numbers("backprop")
        self.assertAlmostEqual(found["outputs"][0], y1, places=5)
        self.assertAlmostEqual(found["outputs"][1], y2, places=5)
        slope = (y1 - 0.2) * y1 * (1 - y1) * a10
        self.assertAlmostEqual(found["weights"][4]["graph"], slope, places=6)

    # ---- the perceptron ------------------------------------------------------------------

    def test_perceptron_learns_what_a_line_separates(self):
        cases = {case["name"]: case for case in self.numbers("perceptron")["cases"]}
        for name, bound in (("AND", 51), ("OR", 27)):
            self.assertTrue(cases[name]["learned"])
            self.assertAlmostEqual(cases[name]["bound"], bound)
            self.assertLessEqual(cases[name]["mistakes"], bound)
        self.assertFalse(cases["XOR"]["learned"])
        self.assertIsNone(cases["XOR"]["bound"])

    def test_the_lines_it_found_do_separate(self):
        labels = {"AND": (0, 0, 0, 1), "OR": (0, 1, 1, 1)}
        inputs = ((0, 0), (0, 1), (1, 0), (1, 1))
        for case in self.numbers("perceptron")["cases"]:
            if case["name"] in labels:
                w1, w2, b = case["weights_and_bias"]
                says = tuple(int(w1 * x1 + w2 * x2 + b >= 0) for x1, x2 in inputs)
                self.assertEqual(says, labels[case["name"]])

    # ---- activations and losses ----------------------------------------------------------

    def test_activations_and_slopes_are_those_of_the_formulas(self):
        def sigmoid(a):
            return 1 / (1 + math.exp(-a))
        formulas = {
            "sigmoid": (sigmoid, lambda a: sigmoid(a) * (1 - sigmoid(a))),
            "tanh": (lambda a: 2 * sigmoid(2 * a) - 1, lambda a: 1 - math.tanh(a)**2),
            "relu": (lambda a: max(0, a), lambda a: float(a > 0)),
            "leaky-relu": (lambda a: a if a > 0 else 0.01 * a, lambda a: 1 if a > 0 else 0.01),
            "identity": (lambda a: a, lambda a: 1),
        }
        units = self.numbers("activations")["units"]
        self.assertEqual({unit["name"] for unit in units}, set(formulas))
        for unit in units:
            value, slope = formulas[unit["name"]]
            for a, h, s in zip(unit["a"], unit["h"], unit["slope"]):
                self.assertAlmostEqual(h, value(a), delta=1e-5, msg=f"{unit['name']}({a})")
                self.assertAlmostEqual(s, slope(a), delta=1e-5, msg=f"{unit['name']}'({a})")

    def test_the_steepest_slopes_are_a_quarter_and_one(self):
        steepest = {u["name"]: max(u["slope"]) for u in self.numbers("activations")["units"]}
        self.assertEqual(steepest["sigmoid"], 0.25)
        self.assertEqual(steepest["tanh"], 4 * steepest["sigmoid"])

    def test_softmax_keeps_the_order_and_sums_to_one(self):
        found = self.numbers("activations")
        z = found["softmax"]
        self.assertEqual(z, sorted(z, reverse=True))
        self.assertAlmostEqual(sum(z), 1, delta=1e-5)
        total = sum(math.exp(a) for a in (2, 1, 0, -1))
        for a, p in zip((2, 1, 0, -1), z):
            self.assertAlmostEqual(p, math.exp(a) / total, delta=1e-5)
        self.assertAlmostEqual(found["softmax_loss"], -math.log(math.exp(2) / total), delta=1e-5)

    def test_cross_entropy_has_no_slope_in_its_delta(self):
        for row in self.numbers("activations")["deltas"]:
            z = 1 / (1 + math.exp(-row["a"]))
            self.assertAlmostEqual(row["cross_entropy"], z - 1, delta=1e-5)
            self.assertAlmostEqual(row["squared_error"], (z - 1) * z * (1 - z), delta=1e-5)

    def test_a_3_4_4_1_network_has_41_parameters(self):
        text = self.text("linear")
        self.assertIn("3*4 = 12", text)
        self.assertIn("4*4 = 16", text)
        self.assertEqual(self.numbers("linear")["parameters"], 12 + 4 + 16 + 4 + 4 + 1)

    def test_a_linear_stack_is_one_layer(self):
        self.assertTrue(self.numbers("linear", "--seed", 3)["stack_equals_product"])
        self.assertIn("2 * (2 * (2 * 5)) = 40 = 8 * 5", self.text("linear"))

    # ---- graphs and differentiation ------------------------------------------------------

    def test_the_sigmoid_as_a_chain_has_its_slope(self):
        found = self.numbers("graph")
        s = 1 / (1 + math.exp(-1))
        self.assertAlmostEqual(found["slope_by_chain"], s * (1 - s), places=5)
        self.assertEqual(found["slope_by_chain"], found["slope_fused"])

    def test_gradients_add_and_layers_give_their_weights(self):
        found = self.numbers("graph")
        self.assertEqual(found["gradients_add"], 7)
        self.assertEqual(found["dq1_dx"], [1, 2, -1])
        self.assertEqual(found["dq2_dx"], [0.5, 0, 3])

    def test_differences_agree_on_11935_parameters_and_are_slow(self):
        found = self.numbers("numeric")
        self.assertEqual(found["parameters"], 11760 + 150 + 15 + 10)
        self.assertGreater(found["largest_slope"], 0.01)
        self.assertLess(found["largest_disagreement"], 1e-4)
        self.assertGreater(found["times_faster"], 500)
        self.assertIn("11,935", self.text("numeric"))

    # ---- training ------------------------------------------------------------------------

    def test_one_hidden_unit_never_solves_xor_and_eight_nearly_always_do(self):
        solved = {(row["activation"], row["units"]): row["solved"]
                  for row in self.numbers("xor")["solved_of_100"]}
        for activation in ("sigmoid", "tanh", "relu", "leaky-relu"):
            self.assertEqual(solved[activation, 1], 0)
            self.assertGreater(solved[activation, 8], 60)
        self.assertGreater(solved["tanh", 2], 20)

    def test_the_steps_are_eight(self):
        text = self.text("steps")
        for step in range(2, 9):
            self.assertEqual(len(re.findall(rf"^  {step} ", text, re.M)), 2 if step > 6 else 4)
        self.assertEqual(len(re.findall(r"^  1 initialise", text, re.M)), 1)

    def test_full_batch_falls_every_step_and_small_batches_arrive_sooner(self):
        methods = {row["name"]: row for row in self.numbers("descent")["methods"]}
        full, single = methods["full batch"], methods["single sample"]
        mini = methods["mini-batch of 25"]
        self.assertEqual(full["rises"], 0)
        self.assertGreater(single["rises"], 0)
        for earlier, later in zip(full["cost_by_pass"], full["cost_by_pass"][1:]):
            self.assertLess(later, earlier)
        self.assertEqual((full["updates"], mini["updates"], single["updates"]), (30, 1200, 30000))
        self.assertLess(single["cost_by_pass"][1], mini["cost_by_pass"][1])
        self.assertLess(mini["cost_by_pass"][1], full["cost_by_pass"][1])

    def test_decay_divides_the_rate_each_pass(self):
        rates = re.search(r"mu\(k\) / \(1 \+ 0\.1\):\n(.*) \.\.\.", self.text("descent")).group(1)
        for k, rate in enumerate(rates.split()):
            self.assertAlmostEqual(float(rate), 0.1 / 1.1**k, delta=5e-5)

    def test_sigmoid_gradients_vanish_and_others_do_not(self):
        found = self.numbers("vanishing")
        norms = {row["activation"]: row["norms"] for row in found["gradients"]
                 if row["hidden_layers"] == 10}
        self.assertLess(norms["sigmoid"][0] / norms["sigmoid"][-1], 1e-4)
        for activation in ("tanh", "relu", "leaky-relu"):
            self.assertGreater(norms[activation][0] / norms[activation][-1], 1e-2)
        self.assertEqual({row["hidden_layers"] for row in found["gradients"]}, set(range(2, 11)))

    def test_large_steps_kill_relu_units(self):
        dead = {row["learning_rate"]: row["dead"] for row in self.numbers("vanishing")["dead_units"]
                if row["activation"] == "relu"}
        self.assertGreater(dead[1], dead[0.05] + 10)

    def test_more_hidden_units_fit_better(self):
        errors = [row["error"] for row in self.numbers("approximate")["fits"]]
        self.assertEqual(len(errors), 7)
        self.assertEqual(errors, sorted(errors, reverse=True))
        self.assertLess(errors[-1], errors[0] / 10)

    def test_dropout_of_half_costs_a_small_network_more_than_a_wide_one(self):
        rows = self.numbers("dropout")["networks"]
        self.assertEqual({(row["dropout"], row["mask"]) for row in rows},
                         {(0, "-"), (0.1, "sample"), (0.5, "sample"), (0.1, "epoch"),
                          (0.5, "epoch")})
        lost = {row["units"]: row for row in rows if (row["dropout"], row["mask"]) == (0.5, "sample")}
        self.assertLess(lost[15]["test_accuracy"], lost[100]["test_accuracy"])


class Use(DemoTest):
    def test_without_a_name_it_lists_them_all(self):
        text = self.digits("demo").out
        names = re.findall(r"^  (\w+) ", text, re.M)
        self.assertEqual(tuple(names), NAMES)
        listed = self.digits("demo", "--json").json()["demonstrations"]
        self.assertEqual(tuple(row["name"] for row in listed), NAMES)

    def test_an_unknown_name_is_refused_with_a_guess(self):
        with self.unchanged():
            result = self.digits("demo", "dropuot", "--out", "pictures", code=USAGE)
        self.assertEqual(result.out, "")
        self.assertIn("there is no demonstration 'dropuot'", result.err)
        self.assertIn("did you mean 'digits demo dropout'?", result.err)
        self.assertIn("'digits demo' lists them", self.digits("demo", "zzz", code=USAGE).err)

    def test_it_takes_one_name(self):
        self.digits("demo", "xor", "graph", code=USAGE)

    def test_json_is_a_document_and_nothing_else(self):
        for name in NAMES:
            with self.subTest(name):
                document = self.demo(name, "--json").json()
                self.assertEqual((document["demonstration"], document["seed"]), (name, 1))
                self.assertGreater(len(document), 2)

    def test_pictures_are_drawn_on_request_only(self):
        with self.unchanged():
            self.digits("demo", "perceptron")
        for name, which in PICTURES.items():
            with self.subTest(name):
                result = self.digits("demo", name, "--out", "pictures")
                path = self.folder / "pictures" / f"{name}-{which}.png"
                self.assertEqual(path.read_bytes()[:8], b"\x89PNG\r\n\x1a\n")
                self.assertTrue(result.out.endswith(f"\npicture     pictures/{name}-{which}.png\n"))

    def test_a_folder_that_cannot_be_made_is_an_error(self):
        (self.folder / "file").write_text("")
        result = self.digits("demo", "xor", "--out", "file/pictures", code=FAILED)
        self.assert_one_line(result.err)
        self.assertEqual(result.out, "")

    def test_generated_digits_are_announced_loudly(self):
        for name in ON_DIGITS:
            with self.subTest(name):
                result = self.demo(name)
                self.assertIn("GENERATED DIGITS, NOT MNIST", result.out)
                self.assertIn("going on with GENERATED DIGITS", result.err)

    def test_data_asked_for_by_name_are_not_replaced(self):
        for arguments, env in ((("--data", "nowhere"), {}), ((), {"DIGITS_DATA": "nowhere"})):
            result = self.digits("demo", "numeric", *arguments, code=BAD_DATA, env=env)
            self.assertIn("there is no folder 'nowhere'", result.err)
            self.assertNotIn("GENERATED", result.err)

    def test_a_folder_of_generated_digits_is_told_as_such(self):
        result = self.digits("demo", "numeric", "--data", digits.small_data())
        self.assertIn("GENERATED DIGITS, NOT MNIST: 10 training images", result.out)
        self.assertEqual(result.err, "")

    @needs_mnist
    def test_on_mnist_it_says_that_it_takes_a_part(self):
        result = self.digits("demo", "numeric", "--data", digits.mnist())
        self.assertIn("a part of MNIST: the first 10 training images", result.out)
        self.assertEqual(result.err, "")


if __name__ == "__main__":
    unittest.main()
