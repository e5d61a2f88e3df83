"use strict";
/* All mistakes that the page holds, sorted and filtered. */

const GALLERY_ROOM = 96;

const GALLERY_ORDERS = {
    "surest first": (a, b) => b.confidence - a.confidence,
    "least sure first": (a, b) => a.confidence - b.confidence,
    "by what they are": (a, b) => a.label - b.label || a.guess - b.guess,
    "by what they were read as": (a, b) => a.guess - b.guess || a.label - b.label,
    "as in the data": (a, b) => a.index - b.index,
};

function mistakeCaption(report, digit) {
    return [
        element(
            "span",
            { class: "under" },
            element("b", { class: "truth" }, report.classes[digit.label]),
            " → ",
            element("b", { class: "guess" }, report.classes[digit.guess]),
            " ",
            element("span", { class: "sure" }, sureText(report, digit.confidence)),
        ),
    ];
}

function showGallery(report) {
    const mistakes = report.digits.filter(digit => !digit.right);
    const wrong = report.total - report.correct;
    const state = { order: "surest first", label: "", guess: "" };
    const words = element("p", { class: "note", role: "status" });
    const list = element("div", { id: "gallery" });
    const classes = [["", "any"], ...report.classes.map((name, k) => [String(k), name])];
    const fits = digit =>
        (state.label === "" || digit.label === Number(state.label)) &&
        (state.guess === "" || digit.guess === Number(state.guess));

    function update() {
        const shown = mistakes
            .filter(fits)
            .sort((a, b) => GALLERY_ORDERS[state.order](a, b) || a.index - b.index);
        const kept =
            mistakes.length < wrong ? `; the page holds ${countText(mistakes.length)}` : "";
        words.textContent = `${countText(shown.length)} of ${plural(wrong, "mistake", "mistakes")}${kept}`;
        list.replaceChildren(
            digitList(report, shown, GALLERY_ROOM, digit => mistakeCaption(report, digit)),
        );
    }
    const set = key => value => {
        state[key] = value;
        update();
    };
    if (wrong === 0) {
        fill("mistakes-body", element("p", {}, "None: every image was read right."));
        return;
    }
    update();
    fill(
        "mistakes-body",
        element(
            "div",
            { class: "toolbar screen-only" },
            chooser(
                "Sort",
                Object.keys(GALLERY_ORDERS).map(name => [name, name]),
                set("order"),
            ),
            chooser("It is", classes, set("label")),
            chooser("Read as", classes, set("guess")),
        ),
        words,
        list,
    );
}
