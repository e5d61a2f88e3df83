"use strict";
/* Precision, recall and F1 of each class, and the commonest mistakes. */

const PAIRS_SHOWN = 10;

/* Where the scale begins: a whole percent a little below the lowest figure. */
function lowestShare(report) {
    const shares = report.per_class.flatMap(item => [item.precision, item.recall, item.f1]);
    return Math.max(0, Math.floor(100 * Math.min(...shares) - 0.5) / 100);
}

/* A figure, and its place between `low` and 100 %. */
function shareCell(share, low) {
    const place = (100 * (share - low)) / (1 - low);
    return element(
        "td",
        { class: "share" },
        element(
            "span",
            { class: "place", "aria-hidden": "true" },
            element("span", { style: `left:${place.toFixed(1)}%` }),
        ),
        percentText(share, 2),
    );
}

function classTable(report) {
    const low = lowestShare(report);
    return element(
        "table",
        { class: "figures-table", "aria-label": "Precision, recall and F1 of each class" },
        element(
            "thead",
            {},
            element(
                "tr",
                {},
                ["Class", "Images", "Precision", "Recall", "F1"].map(name =>
                    element("th", { scope: "col" }, name),
                ),
            ),
        ),
        element(
            "tbody",
            {},
            report.per_class.map(item =>
                element(
                    "tr",
                    {},
                    element("th", { scope: "row" }, item.class),
                    element("td", {}, countText(item.images)),
                    shareCell(item.precision, low),
                    shareCell(item.recall, low),
                    shareCell(item.f1, low),
                ),
            ),
        ),
    );
}

function pairButton(report, pair) {
    const open = () => {
        openCell(report, report.classes.indexOf(pair.class), report.classes.indexOf(pair.read_as));
        document.getElementById("confusion").scrollIntoView();
        document.querySelector(".matrix [aria-pressed=true]").focus({ preventScroll: true });
    };
    return button(
        [
            element("b", { class: "truth" }, pair.class),
            " read as ",
            element("b", { class: "guess" }, pair.read_as),
            element("span", { class: "times" }, plural(pair.times, "time", "times")),
        ],
        open,
        { class: "pair" },
    );
}

function showClasses(report) {
    const pairs = report.confused.slice(0, PAIRS_SHOWN);
    const list = element(
        "ul",
        { class: "pairs" },
        pairs.map(pair => element("li", {}, pairButton(report, pair))),
    );
    fill(
        "classes-body",
        element(
            "div",
            { class: "two-thirds" },
            element(
                "div",
                {},
                scrollable("Figures of each class", classTable(report)),
                element(
                    "p",
                    { class: "note places" },
                    `The dots lie between ${percentText(lowestShare(report), 0)} and 100 %.`,
                ),
            ),
            element(
                "div",
                { hidden: pairs.length === 0 },
                element("h3", {}, "The commonest mistakes"),
                list,
            ),
        ),
    );
}
