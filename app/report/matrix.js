"use strict";
/* The confusion matrix, whose cells open the digits in them. */

const MATRIX_ROOM = 60;

/* Right answers in blue by their share of the row, mistakes in red by their share of the commonest
 * one. The darkest leaves the number readable. */
function cellColour(report, truth, guess, most) {
    const row = report.confusion[truth];
    const n = row[guess];
    if (truth === guess) {
        return divergingStyle((0.45 * n) / Math.max(1, total(row)));
    }
    return n > 0 ? divergingStyle(-(0.12 + (0.68 * n) / most)) : "transparent";
}

function mostConfused(report) {
    return Math.max(1, ...report.confusion.flatMap((row, k) => row.filter((_, c) => c !== k)));
}

function cellText(report, truth, guess) {
    const n = report.confusion[truth][guess];
    const what = truth === guess ? "right" : `read as ${report.classes[guess]}`;
    return `${report.classes[truth]} ${what}: ${plural(n, "digit", "digits")}`;
}

/* Shows the digits of a cell below the matrix. */
function openCell(report, truth, guess) {
    const digits = report.digits
        .filter(d => d.label === truth && d.guess === guess)
        .sort((a, b) => b.confidence - a.confidence);
    const n = report.confusion[truth][guess];
    const part =
        digits.length < n
            ? `; ${countText(digits.length)} of them, evenly chosen, are in this page`
            : "";
    for (const cell of document.querySelectorAll(".matrix button")) {
        const [t, g] = cell.dataset.cell.split(" ").map(Number);
        cell.setAttribute("aria-pressed", String(t === truth && g === guess));
    }
    fill(
        "cell-body",
        element(
            "h3",
            {},
            element("span", { class: "truth" }, report.classes[truth]),
            " read as ",
            element("span", { class: truth === guess ? "truth" : "guess" }, report.classes[guess]),
        ),
        element(
            "p",
            { class: "note", role: "status" },
            `${plural(n, "digit", "digits")}${part}; the most confident first.`,
        ),
        digitList(report, digits, MATRIX_ROOM, digit => [
            element("span", { class: "under" }, sureText(report, digit.confidence)),
        ]),
    );
}

function matrixCell(report, truth, guess, most) {
    const n = report.confusion[truth][guess];
    const style = `background:${cellColour(report, truth, guess, most)}`;
    const kind = truth === guess ? "right" : "wrong";
    if (n === 0) {
        return element(
            "td",
            { class: kind },
            element("span", { class: "none", "aria-label": "0" }, "·"),
        );
    }
    return element(
        "td",
        { class: kind, style },
        button(String(n), () => openCell(report, truth, guess), {
            "data-cell": `${truth} ${guess}`,
            "aria-pressed": "false",
            "aria-controls": "cell-body",
            "aria-label": cellText(report, truth, guess),
        }),
    );
}

function matrixTable(report) {
    const most = mostConfused(report);
    return element(
        "table",
        {
            class: hasLongNames(report) ? "matrix long-names" : "matrix",
            "aria-label":
                "Confusion matrix: rows are what the digits are, columns what they were read as",
        },
        element(
            "thead",
            {},
            element(
                "tr",
                {},
                element("td", { class: "corner" }, "is \\ read as"),
                report.classes.map(name =>
                    element("th", { scope: "col" }, element("span", {}, name)),
                ),
            ),
        ),
        element(
            "tbody",
            {},
            report.classes.map((name, truth) =>
                element(
                    "tr",
                    {},
                    element("th", { scope: "row" }, name),
                    report.classes.map((_, guess) => matrixCell(report, truth, guess, most)),
                ),
            ),
        ),
    );
}

/* Opens the commonest mistake, or the first cell that has digits in it. */
function openFirstCell(report) {
    const pair = report.confused[0];
    if (pair) {
        openCell(report, report.classes.indexOf(pair.class), report.classes.indexOf(pair.read_as));
    } else if (report.digits.length > 0) {
        openCell(report, report.digits[0].label, report.digits[0].guess);
    }
}

function showMatrix(report) {
    const table = matrixTable(report);
    fill(
        "confusion-body",
        element(
            "div",
            { class: "confusion" },
            scrollable("Confusion matrix", table),
            element("div", { id: "cell-body", class: "cell" }),
        ),
    );
    rove(table);
    openFirstCell(report);
}
