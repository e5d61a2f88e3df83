#!/usr/bin/env python3
"""The page that `digits report` writes, in a real browser: headless Chromium, driven as by a user.

Exits with 77, which CTest shows as skipped, where the browser or its driver is missing.
"""

import base64
import contextlib
import functools
import json
import math
import os
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

import digits
from digits import CliTest, needs_mnist

try:
    import numpy as np
    from selenium import webdriver
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.actions import interaction
    from selenium.webdriver.common.actions.action_builder import ActionBuilder
    from selenium.webdriver.common.actions.pointer_input import PointerInput
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import Select, WebDriverWait
except ImportError:
    webdriver = None

SKIPPED = 77

FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-dev-shm-usage", "--hide-scrollbars")


# ---- the browser --------------------------------------------------------------------------


def start_browser(profile):
    """Chromium with a profile of its own, or a text that says what is missing."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if not webdriver:
        return "python3-selenium or python3-numpy is not installed"
    if not browser or not driver:
        return "chromium or chromium-driver is not installed"
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    try:
        return webdriver.Chrome(service=Service(driver), options=options)
    except WebDriverException as error:
        return f"chromium does not start: {error.msg}"


@functools.lru_cache(maxsize=None)
def generated():
    """Generated digits, and a network that learned enough of them to read what is drawn here."""
    digits.run_checked("synth", "--out", "many", "--train", 6000, "--test", 400, "--seed", 3)
    return train("many", digits.shared() / "many", 12)


@functools.lru_cache(maxsize=None)
def real():
    return train("mnist", digits.mnist(), 30)


def train(name, data, epochs, *options):
    """Trains on data and writes a report; returns its path and the model's."""
    model, page = digits.shared() / f"{name}.safetensors", digits.shared() / f"{name}.html"
    digits.run_checked("train", "--data", data, "--epochs", epochs, "--out", model, "--log",
                       f"{name}.jsonl", *options)
    digits.run_checked("report", "--model", model, "--data", data, "--log", f"{name}.jsonl",
                       "--out", page)
    return page, model


class PageTest(CliTest):
    """A test opens the page anew, in a window of ordinary size; afterwards the console must be
    empty, and nothing must have been asked of any network."""

    def setUp(self):
        super().setUp()
        self.browser = BROWSER
        self.emulate()

    def tearDown(self):
        self.assertEqual([entry["message"] for entry in self.browser.get_log("browser")], [])
        self.assertEqual(self.requests(), [])

    def requests(self):
        """What the page asked for since the last call, itself and what it holds apart."""
        asked = []
        for entry in self.browser.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated"):
                url = message["params"].get("request", message["params"])["url"]
                if not url.startswith((digits.shared().as_uri(), "data:", "blob:", "about:")):
                    asked.append(url)
        return asked

    def emulate(self, width=1280, height=900, dark=False, media=""):
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "media": media, "features": [
                {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
                {"name": "prefers-reduced-motion", "value": "reduce"}]})

    def open(self, page):
        self.browser.get(page.as_uri())
        self.wait("return document.documentElement.dataset.ready === 'yes'")

    def wait(self, script):
        return WebDriverWait(self.browser, 30).until(lambda browser: browser.execute_script(script))

    def script(self, text, *arguments):
        return self.browser.execute_script(text, *arguments)

    def find(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector):
        return self.script("return document.querySelector(arguments[0]).textContent", selector)

    def press(self, *keys):
        ActionChains(self.browser).send_keys(*keys).perform()

    def frame(self):
        """Waits until what was drawn has been read."""
        self.wait("return document.querySelector('.answer').getAttribute('aria-busy') !== 'true'")

    def draw(self, strokes, kind="mouse"):
        """Draws strokes of points in 0..1 on the field, by pointer events of a kind."""
        field = self.find(".field")
        self.script("arguments[0].scrollIntoView({block: 'center'})", field)
        side = field.rect["width"]
        for stroke in strokes:
            pointer = PointerInput(kind, f"{kind}-1")
            actions = ActionBuilder(self.browser, mouse=pointer, duration=2)
            for k, (x, y) in enumerate(stroke):
                actions.pointer_action.move_to(field, int((x - 0.5) * side), int((y - 0.5) * side))
                if k == 0:
                    actions.pointer_action.pointer_down()
            actions.pointer_action.pointer_up()
            actions.perform()
        self.frame()

    def answer(self):
        return self.text(".answer-words .huge")


# ---- ten digits ---------------------------------------------------------------------------


def arc(x, y, rx, ry, start, end, n=14):
    """Points of an ellipse, by angle in degrees, clockwise from the right."""
    angles = (math.radians(start + (end - start) * k / n) for k in range(n + 1))
    return [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles]


STROKES = {
    0: [arc(0.5, 0.5, 0.2, 0.32, -90, 270, 24)],
    1: [[(0.52, 0.17), (0.51, 0.4), (0.5, 0.62), (0.49, 0.84)]],
    2: [arc(0.5, 0.34, 0.19, 0.16, -165, 40) + [(0.5, 0.62), (0.32, 0.82), (0.7, 0.82)]],
    3: [arc(0.47, 0.33, 0.18, 0.16, -150, 85) + arc(0.47, 0.66, 0.21, 0.17, -85, 150)],
    4: [[(0.38, 0.18), (0.35, 0.35), (0.31, 0.53), (0.5, 0.53), (0.7, 0.52)],
        [(0.64, 0.2), (0.62, 0.5), (0.6, 0.84)]],
    5: [[(0.68, 0.18), (0.38, 0.19), (0.36, 0.46)] + arc(0.48, 0.64, 0.2, 0.2, -100, 140)],
    6: [[(0.6, 0.16), (0.46, 0.3), (0.37, 0.48)] + arc(0.5, 0.66, 0.16, 0.17, -180, 180, 20)],
    7: [[(0.3, 0.2), (0.5, 0.2), (0.7, 0.2), (0.6, 0.42), (0.52, 0.62), (0.46, 0.84)]],
    8: [arc(0.5, 0.33, 0.15, 0.16, 90, -270, 20) + arc(0.5, 0.67, 0.18, 0.18, -90, 270, 20)],
    9: [arc(0.49, 0.35, 0.17, 0.17, 0, -360, 20) + [(0.65, 0.5), (0.62, 0.68), (0.58, 0.85)]],
}


class Drawing(PageTest):
    def read_all(self, page):
        self.open(page)
        read = {}
        for digit, strokes in STROKES.items():
            self.find(".field-side .toolbar button:nth-child(2)").click()
            self.draw(strokes)
            read[digit] = self.answer()
        return read

    def test_each_of_ten_digits_is_read(self):
        page, _ = generated()
        self.assertEqual(self.read_all(page), {k: str(k) for k in range(10)})

    @needs_mnist
    def test_each_of_ten_digits_is_read_by_a_network_that_learned_from_mnist(self):
        page, _ = real()
        self.assertEqual(self.read_all(page), {k: str(k) for k in range(10)})

    def test_a_pen_and_a_finger_draw_as_a_mouse_does(self):
        page, _ = generated()
        for kind in (interaction.POINTER_MOUSE, interaction.POINTER_PEN, interaction.POINTER_TOUCH):
            with self.subTest(kind):
                self.open(page)
                self.draw(STROKES[7], kind)
                self.assertEqual(self.answer(), "7")
        self.assertEqual(self.script("return scrollX"), 0)

    def test_what_is_shown_is_what_the_network_says(self):
        self.open(generated()[0])
        self.draw(STROKES[3])
        values = [self.script("return arguments[0].textContent", cell)
                  for cell in self.all(".answer .bars .value")]
        self.assertEqual(len(values), 10)
        shares = [float(value.rstrip(" %")) for value in values]
        self.assertAlmostEqual(sum(shares), 100, delta=6)
        self.assertEqual(max(range(10), key=shares.__getitem__), 3)
        self.assertEqual(len(self.all(".answer .light")), 15)
        levels = [float(self.script("return arguments[0].style.getPropertyValue('--level')", light))
                  for light in self.all(".answer .light")]
        self.assertGreater(max(levels), 0.5)
        seen = self.script("const c = document.querySelector('.answer-seen canvas');"
                           "return [...c.getContext('2d').getImageData(0, 0, 28, 28).data]"
                           ".filter((_, i) => i % 4 === 3)")
        self.assertEqual(max(seen), 255)
        self.assertEqual(seen[:28], [0] * 28)

    def test_an_empty_field_is_no_digit(self):
        self.open(generated()[0])
        self.assertEqual(self.answer(), "–")
        self.assertIn("not a digit", self.text(".answer-words .note"))
        self.draw(STROKES[0])
        self.assertEqual(self.answer(), "0")
        self.find(".field-side .toolbar button:nth-child(2)").click()
        self.frame()
        self.assertEqual(self.answer(), "–")
        self.assertIn("not a digit", self.text(".answer-words .note"))
        self.assertFalse(self.find(".answer-seen button").is_enabled())

    def test_several_digits_are_read_one_by_one(self):
        self.open(generated()[0])
        for digit, shift in ((1, -0.32), (4, -0.1), (7, 0.2)):
            self.draw([[(0.5 + (x - 0.5) * 0.5 + shift, y) for x, y in stroke]
                       for stroke in STROKES[digit]])
        self.assertEqual(self.answer().replace("?", ""), "147")
        for k, button in enumerate(self.all(".choice button")):
            button.click()
            best = self.script("return document.querySelector('.answer .best th').textContent")
            self.assertEqual(best, "147"[k])
            self.assertEqual(button.get_attribute("aria-pressed"), "true")

    def test_a_scribble_is_no_digit(self):
        self.open(generated()[0])
        turns = [math.radians(160 * k) for k in range(10)]  # a star of nine points
        self.draw([[(0.5 + 0.38 * math.cos(a), 0.5 + 0.38 * math.sin(a)) for a in turns]])
        self.assertEqual(self.answer(), "–")
        self.assertIn("not a digit", self.text(".answer-words .note"))

    def test_strokes_can_be_taken_back(self):
        self.open(generated()[0])
        self.draw(STROKES[1])
        before = self.text(".answer .bars")
        self.draw([[(0.2, 0.5), (0.8, 0.5)]])
        self.assertNotEqual(self.text(".answer .bars"), before)
        self.find(".field-side .toolbar button:nth-child(1)").click()
        self.frame()
        self.assertEqual(self.text(".answer .bars"), before)

    def test_the_keyboard_draws_undoes_and_clears(self):
        self.open(generated()[0])
        self.script("document.querySelector('.field').focus()")
        self.press(Keys.SPACE, *([Keys.ARROW_DOWN] * 24), Keys.SPACE)
        self.frame()
        self.assertEqual(self.answer(), "1")
        ActionChains(self.browser).key_down(Keys.CONTROL).send_keys("z").key_up(
            Keys.CONTROL).perform()
        self.frame()
        self.assertEqual(self.answer(), "–")
        self.press(Keys.SPACE, *([Keys.ARROW_UP] * 20), Keys.SPACE)
        self.frame()
        self.assertNotEqual(self.answer(), "–")
        self.press(Keys.DELETE)
        self.frame()
        self.assertEqual(self.answer(), "–")

    def test_a_drawing_leads_to_how_the_units_decide(self):
        self.open(generated()[0])
        self.draw(STROKES[5])
        self.find(".answer-seen button").click()
        self.assertIn("Your own drawing", self.text("#decision-body"))
        self.assertEqual(self.script("return document.activeElement.id"), "decision-title")

    def test_a_picture_can_be_opened(self):
        self.open(generated()[0])
        width = height = 60
        pixels = bytes(0 if 27 <= x < 33 and 8 <= y < 52 else 255
                       for y in range(height) for x in range(width))
        path = self.folder / "one.png"
        path.write_bytes(digits.png(pixels, width, height))
        self.find("#picture-file").send_keys(str(path))
        self.wait("return document.querySelector('.answer-words .huge').textContent === '1'")
        (self.folder / "no.png").write_bytes(b"no picture")
        self.find("#picture-file").send_keys(str(self.folder / "no.png"))
        self.wait("return document.body.textContent.includes('is no picture that this browser')")


# ---- the same in C and in JavaScript ------------------------------------------------------


def ink(strokes, width, height, pen):
    """How much of each pixel strokes of points in 0..1 cover, [height][width] in 0..1."""
    y, x = np.mgrid[0:height, 0:width] + 0.5
    nearest = np.full((height, width), np.inf)
    for stroke in strokes:
        points = [(px * width, py * height) for px, py in stroke]
        for (ax, ay), (bx, by) in zip(points, points[1:] or points):
            length = (bx - ax) ** 2 + (by - ay) ** 2 or 1
            t = np.clip(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length, 0, 1)
            nearest = np.minimum(nearest, np.hypot(x - ax - t * (bx - ax), y - ay - t * (by - ay)))
    return np.clip(pen / 2 - nearest + 0.5, 0, 1)


def transformed(strokes, rng):
    """The strokes turned, slanted, squeezed, moved and shaken a little."""
    turn, slant = rng.normal(0, 0.12), rng.normal(0, 0.15)
    wide, high = rng.uniform(0.55, 1.05, 2)
    dx, dy = rng.uniform(-0.08, 0.08, 2)
    made = []
    for stroke in strokes:
        points = []
        for px, py in stroke:
            u, v = (px - 0.5) * wide + slant * (0.5 - py) + rng.normal(0, 0.006), (py - 0.5) * high
            points.append((0.5 + dx + u * math.cos(turn) - v * math.sin(turn),
                           0.5 + dy + u * math.sin(turn) + v * math.cos(turn)))
        made.append(points)
    return made


def simulated_picture(k, rng):
    """Picture k of many kinds: (bytes [height][width][channels], a NumPy array)."""
    width, height = (int(side) for side in rng.integers(40, 220, 2))
    kind = k % 10
    strokes = transformed(STROKES[int(rng.integers(10))], rng)
    if kind == 8:  # several
        strokes = [[(0.5 * x + 0.5 * half, y) for x, y in stroke] for half in (0, 1)
                   for stroke in transformed(STROKES[int(rng.integers(10))], rng)]
    elif kind == 9:  # a blank page, a scribble
        strokes = [rng.uniform(0, 1, (40, 2)).tolist()] if k % 20 == 9 else []
    cover = ink(strokes, width, height, rng.uniform(0.03, 0.12) * min(width, height) + 1)
    y, x = np.mgrid[0:height, 0:width]
    shade = 1 - rng.uniform(0, 0.5) * (x / width * rng.uniform() + y / height * rng.uniform())
    paper, pen = rng.uniform(170, 255, 3), rng.uniform(0, 90, 3)
    if kind in (0, 1):  # clean and grey, light on dark or dark on light
        grey = 255 * cover if kind else 255 * (1 - cover)
        return np.rint(grey).astype(np.uint8)[:, :, None]
    colour = (paper * (1 - cover[:, :, None]) + pen * cover[:, :, None]) * shade[:, :, None]
    if kind in (2, 3):
        colour = 255 - colour
    colour += rng.normal(0, rng.uniform(0, 9), colour.shape)
    return np.rint(np.clip(colour, 0, 255)).astype(np.uint8)


class Agreement(PageTest):
    """The page and the program make the same 28 x 28 bytes of a picture, and read the same."""

    READ = """
        const [pictures, done] = arguments;
        const text = bytes => btoa(String.fromCharCode(...bytes));
        readReport().then(report => done(pictures.map(({pixels, ...shape}) =>
            readPicture(report, {...shape, pixels: bytesOf(pixels)}).map(reading => ({
                box: reading.box, pixels: text(reading.pixels),
                probabilities: [...reading.run.outputs], verdict: verdictOf(report, reading)})))));
    """

    def in_the_page(self, pictures):
        packed = [{"width": p.shape[1], "height": p.shape[0], "channels": p.shape[2],
                   "pixels": base64.b64encode(p.tobytes()).decode()} for p in pictures]
        return self.browser.execute_async_script(self.READ, packed)

    def in_the_program(self, pictures, model):
        names = []
        for k, p in enumerate(pictures):
            names.append(f"{k:03d}.png")
            height, width, channels = p.shape
            (self.folder / names[-1]).write_bytes(
                digits.png(p.tobytes(), width, height, colour={1: 0, 3: 2, 4: 6}[channels]))
        answer = self.digits("predict", "--model", model, "--prepare", "always", "--json",
                             "--pixels", *names).json()["predictions"]
        return [[one for one in answer if one["file"] == name] for name in names]

    def drawings(self):
        """Ten digits drawn on the field, as the page hands them to its reader."""
        script = """
            const strokes = arguments[0].map(s => s.map(p => p.map(v => v * FIELD_SIDE)));
            const {pixels} = strokesPicture(strokes);
            let text = '';
            pixels.forEach(v => { text += String.fromCharCode(v); });
            return btoa(text);"""
        for strokes in STROKES.values():
            raw = base64.b64decode(self.script(script, strokes))
            yield np.frombuffer(raw, np.uint8).reshape(280, 280, 4)

    def check(self, page, model):
        self.open(page)
        rng = np.random.default_rng(7)
        pictures = [*self.drawings(), *(simulated_picture(k, rng) for k in range(190))]
        here, there = self.in_the_page(pictures), self.in_the_program(pictures, model)
        verdicts = set()
        for k, (ours, theirs) in enumerate(zip(here, there)):
            with self.subTest(picture=k):
                if not ours:
                    self.assertEqual([one["verdict"] for one in theirs], ["no digit"])
                    self.assertNotIn("pixels", theirs[0])
                    verdicts.add("blank")
                    continue
                self.assertEqual(len(ours), len(theirs))
                for a, b in zip(ours, theirs):
                    box = a["box"]
                    self.assertEqual(base64.b64decode(a["pixels"]), bytes(b["pixels"]))
                    self.assertEqual((box["left"], box["top"], box["right"] - box["left"],
                                      box["bottom"] - box["top"]),
                                     tuple(b["box"][key] for key in ("left", "top", "width",
                                                                     "height")))
                    self.assertEqual(a["verdict"], b["verdict"])
                    verdicts.add(a["verdict"])
                    if a["verdict"] != "no digit":
                        self.assertEqual(len(a["probabilities"]), len(b["probabilities"]))
                        for p, q in zip(a["probabilities"], b["probabilities"]):
                            self.assertLess(abs(p - q), 1e-5)
        self.assertEqual(verdicts, {"blank", "no digit", "unsure", "sure"})

    def test_200_pictures_are_read_alike(self):
        self.check(*(real() if digits.mnist() else generated()))


# ---- looking around -----------------------------------------------------------------------


class Looking(PageTest):
    def setUp(self):
        super().setUp()
        self.path, self.model = generated()
        self.open(self.path)
        self.data = json.loads(self.text("#data"))

    def test_a_cell_of_the_matrix_opens_its_digits(self):
        for truth, row in enumerate(self.data["confusion"]):
            cells = self.all(f".matrix tbody tr:nth-child({truth + 1}) td")
            self.assertEqual([cell.text for cell in cells], [str(n) if n else "·" for n in row])
        for cell in self.all(".matrix .wrong button")[:4] + self.all(".matrix .right button")[:2]:
            cell.click()
            truth, guess = map(int, cell.get_attribute("data-cell").split())
            heading = f"{truth} read as {guess}"
            self.assertEqual(self.text("#cell-body h3"), heading)
            shown = self.all("#cell-body .digits button")
            self.assertEqual(len(shown), min(60, self.data["confusion"][truth][guess]))
            for one in shown:
                self.assertIn(f"{truth}, read as {guess} with",
                              one.get_attribute("aria-label"))
            self.assertEqual(cell.get_attribute("aria-pressed"), "true")
            self.assertEqual(len(self.all(".matrix [aria-pressed=true]")), 1)

    def labels(self):
        return [item.get_attribute("aria-label") for item in self.all("#gallery .digits button")]

    def test_the_gallery_is_sorted_and_filtered(self):
        order, truth, guess = (Select(item) for item in self.all("#mistakes select"))
        sure = lambda: [float(label.rsplit(" ", 2)[1]) for label in self.labels()]
        wrong = self.data["total"] - self.data["correct"]
        self.assertEqual(len(self.labels()), min(96, wrong))
        self.assertEqual(sure(), sorted(sure(), reverse=True))
        order.select_by_value("least sure first")
        self.assertEqual(sure(), sorted(sure()))
        order.select_by_value("by what they are")
        first = [label[0] for label in self.labels()]
        self.assertEqual(first, sorted(first))
        pair = self.data["confused"][0]
        truth.select_by_visible_text(pair["class"])
        guess.select_by_visible_text(pair["read_as"])
        self.assertEqual(len(self.labels()), pair["times"])
        self.assertTrue(all(label.startswith(f"{pair['class']}, read as {pair['read_as']} ")
                            for label in self.labels()))
        self.assertIn(f"{pair['times']} of {wrong}", self.text("#mistakes [role=status]"))

    def test_a_digit_is_looked_at_closely(self):
        self.find("#gallery .digits button").click()
        self.assertTrue(self.find("#digit").is_displayed())
        first = self.text("#digit-title")
        self.press(Keys.ARROW_RIGHT)
        self.assertNotEqual(self.text("#digit-title"), first)
        self.press(Keys.ARROW_LEFT)
        self.assertEqual(self.text("#digit-title"), first)
        self.find("#digit-units").click()
        self.assertFalse(self.find("#digit").is_displayed())
        self.assertIn(first, self.text("#decision-body"))
        self.assertEqual(len(self.all(".decision tbody tr")), 15)

    def test_contributions_add_up_to_the_sum(self):
        sums = self.script("""
            const rows = [...document.querySelectorAll('.decision tbody tr, .decision .first')];
            const read = row => [...row.querySelectorAll('td')].slice(1)
                .map(cell => Number(cell.textContent.replace('−', '-')));
            const total = rows.map(read).reduce((a, b) => a.map((v, i) => v + b[i]));
            return [total, read(document.querySelector('.decision .first').nextSibling)];""")
        for total, shown in zip(*sums):
            self.assertAlmostEqual(total, shown, delta=0.05 * 17)

    def test_the_network_in_the_page_agrees_with_the_program(self):
        most = self.browser.execute_async_script(
            "const done = arguments[0]; readReport().then(report => done(selfCheck(report)))")
        self.assertLess(most, 1e-5)
        self.assertGreater(most, 0)

    def test_curves_and_figures_are_there(self):
        self.assertEqual(len(self.all("#learning svg path")), 4)
        self.assertEqual(len(self.all("#classes tbody tr")), 10)
        self.assertEqual(len(self.all("#units .tiles canvas")), 15)
        self.assertEqual(len(self.all("#confidence rect")),
                         sum(b["images"] > 0 for b in self.data["calibration"]["bins"]))
        self.assertIn(f"{100 * self.data['accuracy']:.2f} %", self.text("#summary"))
        self.assertIn("digits train", self.text("#origin"))


class Everyone(PageTest):
    """Small windows, the dark, paper, the keyboard, a screen reader."""

    def test_nothing_is_wider_than_a_phone(self):
        for width in (320, 390, 768, 1280):
            with self.subTest(width):
                self.emulate(width, 844)
                self.open(generated()[0])
                self.assertLessEqual(self.script("return document.documentElement.scrollWidth"),
                                     width)
                self.find("#gallery .digits button").click()
                self.assertLessEqual(
                    self.script("return document.querySelector('#digit').scrollWidth"), width)

    def test_text_stands_out_from_its_ground(self):
        """WCAG 2.1, success criterion 1.4.3: a contrast of at least 4.5."""
        for dark in (False, True):
            with self.subTest(dark=dark):
                self.emulate(dark=dark)
                self.open(generated()[0])
                self.draw(STROKES[2])
                weak = self.script(CONTRAST)
                self.assertEqual(weak, [])
        self.emulate(dark=False)
        light = self.script("return getComputedStyle(document.body).backgroundColor")
        self.emulate(dark=True)
        self.assertNotEqual(
            self.script("return getComputedStyle(document.body).backgroundColor"), light)

    def test_all_controls_have_names_and_all_tables_headers(self):
        self.open(generated()[0])
        nameless = self.script("""
            const name = e => e.getAttribute('aria-label') || e.textContent.trim() ||
                [...(e.labels ?? [])].map(l => l.textContent).join('');
            return [...document.querySelectorAll('button, a, select, input, [tabindex], [role=img]')]
                .filter(e => !name(e)).map(e => e.outerHTML.slice(0, 90));""")
        self.assertEqual(nameless, [])
        self.assertEqual(self.script("return [...document.querySelectorAll('th')]"
                                     ".filter(th => !th.scope).length"), 0)
        self.assertEqual(self.script("return [...document.querySelectorAll('canvas')].filter(c => "
                                     "!c.getAttribute('aria-label') && !c.ariaHidden).length"), 0)
        levels = self.script("return [...document.querySelectorAll('main h2, main h3')]"
                             ".map(h => h.tagName)")
        self.assertEqual(levels[0], "H2")
        ids = self.script("return [...document.querySelectorAll('[id]')].map(e => e.id)")
        self.assertEqual(len(ids), len(set(ids)))

    def focused(self):
        return self.script("const e = document.activeElement;"
                           "return [e.closest('section, nav, dialog, body').id, e.tagName,"
                           " e.getAttribute('aria-label') || e.textContent]")

    def test_the_tab_key_visits_all_sections_in_order(self):
        self.open(generated()[0])
        visited = []
        for _ in range(60):
            self.press(Keys.TAB)
            section = self.focused()[0]
            if section and section not in visited:
                visited.append(section)
        self.assertEqual(visited, [s for s in ("draw", "confusion", "mistakes", "classes",
                                               "confidence", "units", "learning", "origin")])

    def test_the_matrix_and_the_digits_are_used_by_keyboard_alone(self):
        self.open(generated()[0])
        self.script("document.querySelector('.matrix button').focus()")
        self.press(Keys.ARROW_DOWN, Keys.ENTER)
        below = self.script("return document.querySelector('.matrix [aria-pressed=true]')"
                            ".dataset.cell").split()
        self.assertNotEqual(below[0], "0")
        self.press(Keys.TAB)
        self.assertIn(f"{below[0]}, read as {below[1]}", self.focused()[2])
        self.press(Keys.ENTER)
        self.assertEqual(self.focused()[0], "digit")
        self.press(Keys.ESCAPE)
        self.assertIn(f"{below[0]}, read as {below[1]}", self.focused()[2])

    def test_on_paper_there_is_no_control_and_no_darkness(self):
        self.emulate(dark=True, media="print")
        self.open(generated()[0])
        for selector in ("#draw", ".contents", "#mistakes .toolbar"):
            self.assertFalse(self.find(selector).is_displayed(), selector)
        self.assertEqual(self.script("return getComputedStyle(document.body).backgroundColor"),
                         "rgb(255, 255, 255)")
        for selector in ("#summary", ".matrix", "#gallery canvas", ".decision", "#learning svg"):
            self.assertTrue(self.find(selector).is_displayed(), selector)


class OtherNetworks(PageTest):
    def test_any_network_is_shown(self):
        data = digits.small_data()
        for name, options in {
            "none": ("--hidden", "none"),
            "deep": ("--hidden", "80,20,10", "--activation", "tanh", "--lr", 0.05),
            "wide": ("--hidden", "400", "--activation", "relu", "--lr", 0.05),
            "plain": ("--hidden", 8, "--output", "identity", "--lr", 0.01),
            "logistic": ("--output", "sigmoid"),
        }.items():
            with self.subTest(name):
                self.open(train(name, data, 2, *options)[0])
                self.draw(STROKES[0])
                self.assertRegex(self.answer(), r"\A\d\??\Z")
                self.find(".answer-seen button").click()
                self.assertIn("Your own drawing", self.text("#decision-body"))
                self.assertEqual([e["message"] for e in self.browser.get_log("browser")], [])

    def test_hostile_names_are_text(self):
        _, model = generated()
        evil = "</script><script>window.struck = 1</script><img src=x onerror='window.struck = 2'>"
        header, tensors = digits.read_model(model)
        header["__metadata__"].update(note=evil, data=evil, classes=f"{evil} <b> 2 3 4 5 6 7 8 9")
        name = f"{evil.replace('/', '_')}.safetensors"
        digits.write_model(digits.shared() / name, header, tensors)
        digits.run_checked("report", "--model", name, "--data", digits.shared() / "many", "--out",
                           "hostile.html")
        self.open(digits.shared() / "hostile.html")
        self.assertEqual(self.text("#title"), name)
        self.assertIn(evil, self.text("#origin"))
        self.assertIn(evil, self.text("#subtitle"))
        self.assertIsNone(self.script("return window.struck ?? null"))
        self.assertEqual(len(self.all("img")), 0)

    def test_what_a_page_cannot_do_is_said(self):
        page, _ = train("bare", digits.small_data(), 1)
        text = page.read_text(encoding="utf-8")
        start = text.index('id="data">') + len('id="data">')
        end = text.index("</script>", start)
        data = json.loads(text[start:end])
        for name, change, where, says in [
            ("without-network", {"network": None}, "draw", "too large"),
            ("other-shape", {"data": {**data["data"], "rows": 14, "columns": 56}}, "draw",
             "takes 14 × 56"),
            ("without-curves", {"history": None}, "learning", "digits train --log"),
            ("no-mistakes", {"correct": data["total"], "confused": []}, "mistakes", "read right"),
        ]:
            with self.subTest(name):
                changed = digits.shared() / f"{name}.html"
                changed.write_text(text[:start] + json.dumps({**data, **change}) + text[end:],
                                   encoding="utf-8")
                self.open(changed)
                self.assertIn(says, self.text(f"#{where}"))


@needs_mnist
class Mnist(PageTest):
    def busy(self):
        """Seconds that the page has kept the processor busy since it was opened."""
        metrics = self.browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        return {metric["name"]: metric["value"] for metric in metrics}["TaskDuration"]

    def test_it_opens_within_a_second(self):
        self.browser.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
        self.open(real()[0])
        taken = self.busy()
        self.browser.execute_cdp_cmd("Performance.disable", {})
        self.assertGreater(taken, 0)
        self.assertLess(taken, 1)


# Finds text whose contrast with what is behind it is below 4.5 (3 for large or bold text).
CONTRAST = """
const parse = text => (text.match(/[\\d.]+/g) ?? []).map(Number);
const rgba = text => {
  const [r, g, b, a = 1] = parse(text);
  return text.startsWith('color(srgb') ? [255 * r, 255 * g, 255 * b, a] : [r, g, b, a];
};
const over = (top, below) => below.slice(0, 3).map((v, i) => top[3] * top[i] + (1 - top[3]) * v);
const ground = e => {
  const layers = [];
  for (let at = e; at; at = at.parentElement) {
    layers.push(rgba(getComputedStyle(at).backgroundColor));
  }
  return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
};
const luminance = c => {
  const [r, g, b] = c.map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const weak = [];
for (const e of document.querySelectorAll('body *')) {
  const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
  const style = getComputedStyle(e);
  if (!own || !e.checkVisibility() || e.closest('script, .unseen, :disabled, [aria-hidden=true], option, title')) continue;
  const behind = ground(e);
  const ink = e.closest('svg') ? style.fill : style.color;
  const front = over([...rgba(ink).slice(0, 3), (rgba(ink)[3] ?? 1) * Number(style.opacity)], behind);
  const [a, b] = [luminance(front), luminance(behind)].sort((x, y) => y - x);
  const contrast = (a + 0.05) / (b + 0.05);
  const size = parseFloat(style.fontSize);
  const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
  if (contrast < (large ? 3 : 4.5)) weak.push(`${e.tagName}.${e.className} ${e.textContent.slice(0, 20)} ${contrast.toFixed(2)}`);
}
return weak;
"""

BROWSER = None


def main():
    global BROWSER
    with tempfile.TemporaryDirectory(prefix="digits-browser-") as profile:
        found = start_browser(profile)
        if isinstance(found, str):
            print(f"skipped: {found}")
            return SKIPPED
        BROWSER = found
        BROWSER.set_script_timeout(300)
        BROWSER.get("about:blank")
        BROWSER.get_log("performance")  # what the browser itself asked for as it started
        try:
            return 0 if unittest.main(exit=False).result.wasSuccessful() else 1
        finally:
            with contextlib.suppress(WebDriverException):
                BROWSER.quit()


if __name__ == "__main__":
    sys.exit(main())
