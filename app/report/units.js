"use strict";
/* What the first layer's units look at, and how the last layer's inputs decide about a digit. */

const UNITS_ROOM = 60;
const DECIDERS_SHOWN = 24;

const unitView = { report: null, at: 0 };

/* ---- weights --------------------------------------------------------------------------------- */

function largest(values) {
    return values.reduce((most, v) => Math.max(most, Math.abs(v)), 1e-9);
}

/* The weights that lead to unit j as a picture; `most` is drawn in the fullest colour. */
function weightPicture(report, j, most, label) {
    const { rows, columns } = report.data;
    const layer = report.network.layers[0];
    const weights = layer.weights.subarray(j * layer.inputs, (j + 1) * layer.inputs);
    const canvas = pictureCanvas(rows, columns, "weights", label);
    /* Between linear and square root: small weights stay visible, large ones stand out. */
    paint(canvas, rows, columns, k =>
        divergingColour(Math.sign(weights[k]) * Math.abs(weights[k] / most) ** 0.7),
    );
    return canvas;
}

/* Nearly the largest weight: a few outliers must not make all else pale. */
function fullWeight(weights) {
    const sorted = Float64Array.from(weights, Math.abs).sort();
    return sorted[Math.floor(0.995 * (sorted.length - 1))] || 1e-9;
}

/* What a unit says about each class, as a row of small cells. */
function voteRow(report, j) {
    const last = report.network.layers[report.network.layers.length - 1];
    const own = report.classes.map((_, o) => last.weights[o * last.inputs + j]);
    const most = largest(last.weights);
    return element(
        "span",
        { class: "votes", "aria-hidden": "true" },
        report.classes.map((name, o) =>
            element(
                "span",
                {
                    style: `background:${divergingStyle(own[o] / most)}`,
                    title: `${name}: ${signedText(own[o], 2)}`,
                },
                name.slice(0, 1),
            ),
        ),
    );
}

/* "unit 3: speaks most for 2, most against 7" */
function voteText(report, j) {
    const last = report.network.layers[report.network.layers.length - 1];
    const own = report.classes.map((_, o) => last.weights[o * last.inputs + j]);
    return (
        `Unit ${j + 1}: speaks most for ${report.classes[argmax(own)]}, ` +
        `most against ${report.classes[argmax(own.map(w => -w))]}`
    );
}

function weightLegend() {
    return element(
        "p",
        { class: "legend" },
        element("span", { class: "swatch against" }),
        " ink here speaks against ",
        element("span", { class: "swatch for" }),
        " ink here speaks for; the stronger, the fuller",
    );
}

function weightTiles(report) {
    const { layers } = report.network;
    const units = layers[0].units;
    const shallow = layers.length === 2;
    const most = fullWeight(layers[0].weights);
    const name = layers.length === 1 ? j => report.classes[j] : j => `unit ${j + 1}`;
    const tile = j =>
        element(
            "li",
            {},
            weightPicture(report, j, most, shallow ? voteText(report, j) : name(j)),
            element("span", { class: "under", "aria-hidden": "true" }, name(j)),
            shallow ? voteRow(report, j) : "",
        );
    const list = element(
        "ul",
        { class: "tiles" },
        Array.from({ length: Math.min(units, UNITS_ROOM) }, (_, j) => tile(j)),
    );
    const box = element("div", {}, list);
    if (units > UNITS_ROOM) {
        const more = button(
            `Show all ${countText(units)} units`,
            () => {
                list.append(
                    ...Array.from({ length: units - UNITS_ROOM }, (_, i) => tile(UNITS_ROOM + i)),
                );
                more.remove();
            },
            { class: "more screen-only" },
        );
        box.append(more);
    }
    return box;
}

/* ---- one digit ------------------------------------------------------------------------------- */

/* All units if they are few, else those that add most to any sum, and the others in one row. */
function chooseDeciders(parts) {
    const weight = row => Math.max(...row.map(Math.abs));
    const order = parts.map((row, i) => ({ row, i })).sort((a, b) => weight(b.row) - weight(a.row));
    const kept =
        parts.length <= DECIDERS_SHOWN
            ? order
            : order.slice(0, DECIDERS_SHOWN).filter(({ row }) => weight(row) >= 0.05);
    const rest = order.slice(kept.length).map(({ row }) => row);
    return { kept: kept.sort((a, b) => a.i - b.i), rest };
}

function addRows(rows, width) {
    return Array.from({ length: width }, (_, o) => rows.reduce((sum, row) => sum + row[o], 0));
}

function partCells(row, most, best) {
    return row.map((value, o) =>
        element(
            "td",
            {
                style: `background:${divergingStyle(value / most)}`,
                class: o === best ? "best" : "",
            },
            signedText(value),
        ),
    );
}

/* The table of contributions w z: a row a unit, a column a class; bias, sum and output below. */
function decisionTable(report, run) {
    const { network, classes } = report;
    const last = network.layers[network.layers.length - 1];
    const z = run.z[run.z.length - 1];
    const parts = Array.from(z, (_, i) => contributions(network, run, i));
    const { kept, rest } = chooseDeciders(parts);
    const best = argmax(run.outputs);
    const most = largest(parts.flat());
    const line = (name, amount, cells, kind = "") =>
        element(
            "tr",
            { class: kind },
            element("th", { scope: "row" }, ...[name].flat()),
            element("td", { class: "amount" }, amount),
            cells,
        );
    const plain = (values, text) =>
        Array.from(values, (value, o) =>
            element("td", { class: o === best ? "best" : "" }, text(value)),
        );
    const rows = kept.map(({ row, i }) =>
        line(
            [element("span", { class: "word" }, "unit "), String(i + 1)],
            signedText(z[i], 2),
            partCells(row, most, best),
        ),
    );
    if (rest.length > 0) {
        rows.push(
            line(
                `${countText(rest.length)} others`,
                "",
                partCells(addRows(rest, classes.length), most, best),
            ),
        );
    }
    return element(
        "table",
        {
            class: hasLongNames(report) ? "decision long-names" : "decision",
            "aria-label": "What each unit adds to the sum of each class",
        },
        element(
            "thead",
            {},
            element(
                "tr",
                {},
                element("th", { scope: "col" }, "Unit"),
                element("th", { scope: "col", class: "amount" }, "gives"),
                classes.map((name, o) =>
                    element("th", { scope: "col", class: o === best ? "best" : "" }, name),
                ),
            ),
        ),
        element("tbody", {}, rows),
        element(
            "tfoot",
            {},
            line(
                "bias",
                "",
                plain(last.biases, v => signedText(v)),
                "first",
            ),
            line(
                "sum",
                "",
                plain(run.sums, v => signedText(v)),
            ),
            line(
                report.probabilities ? last.activation : "output",
                "",
                plain(run.outputs, v => sureText(report, v)),
                "outcome",
            ),
        ),
    );
}

/* What each pixel adds to the sum of each class, of a network without hidden layers. */
function decisionPictures(report, run) {
    const { rows, columns } = report.data;
    const parts = report.classes.map((_, o) =>
        Array.from(
            run.z[0],
            (x, i) => x * report.network.layers[0].weights[o * run.z[0].length + i],
        ),
    );
    const most = largest(parts.flat());
    return element(
        "ul",
        { class: "tiles" },
        report.classes.map((name, o) => {
            const words = `${name}: sum ${signedText(run.sums[o])}, ${sureText(report, run.outputs[o])}`;
            const canvas = pictureCanvas(
                rows,
                columns,
                "weights",
                `What each pixel adds; ${words}`,
            );
            paint(canvas, rows, columns, k =>
                divergingColour(Math.sign(parts[o][k]) * Math.abs(parts[o][k] / most) ** 0.7),
            );
            return element(
                "li",
                {},
                canvas,
                element("span", { class: "under", "aria-hidden": "true" }, words),
            );
        }),
    );
}

/* Shows how the network decides about a picture; words say which it is. */
function showDecision(report, pixels, words) {
    const run = runNetwork(report.network, pixels);
    const hidden = report.network.layers.length > 1;
    fill(
        "decision-body",
        element(
            "div",
            { class: "decision-head" },
            digitPicture(report, { pixels }, "The digit"),
            element(
                "p",
                {},
                words,
                element(
                    "span",
                    { class: "note" },
                    hidden
                        ? "What a unit gives, times its weight towards a class, is what it adds to the sum of that class."
                        : "A pixel times its weight towards a class is what it adds to the sum of that class.",
                ),
            ),
        ),
        hidden
            ? scrollable("What each unit adds to each class", decisionTable(report, run))
            : decisionPictures(report, run),
    );
}

function decideAbout(digit) {
    const { report } = unitView;
    unitView.at = report.digits.indexOf(digit);
    showDecision(report, digit.pixels, [
        `${digitTitle(report, digit)}: `,
        element("b", { class: "truth" }, report.classes[digit.label]),
        ", read as ",
        element("b", { class: digit.right ? "truth" : "guess" }, report.classes[digit.guess]),
        ". ",
    ]);
}

/* Shows a digit's decision and brings it into sight. */
function visitDecision(show) {
    show();
    const heading = document.getElementById("decision-title");
    heading.scrollIntoView();
    heading.focus({ preventScroll: true });
}

/* Goes to the next digit in the page that is (or is read as) a class; '' for any. */
function nextDecision(kind) {
    const { report } = unitView;
    const n = report.digits.length;
    const fits = digit =>
        kind === "" || (kind === "wrong" ? !digit.right : digit.label === Number(kind));
    for (let step = 1; step <= n; step++) {
        const at = (unitView.at + step) % n;
        if (fits(report.digits[at])) {
            decideAbout(report.digits[at]);
            return;
        }
    }
}

/* ---- the whole ------------------------------------------------------------------------------- */

function unitsLead(layers) {
    if (layers.length === 1) {
        return "This network has no hidden units. Each picture shows how the pixels count for one class.";
    }
    const more =
        layers.length > 2
            ? " Only the first layer sees pixels; the layers after it see units."
            : "";
    const votes =
        layers.length === 2
            ? " The row below a picture shows what the unit says about each class."
            : "";
    return `Each picture shows how the pixels count for one unit of the first layer.${votes}${more}`;
}

function showUnits(report) {
    unitView.report = report;
    if (!report.network) {
        fill(
            "units-body",
            element(
                "p",
                {},
                `With ${countText(report.model.parameters)} parameters, the ` +
                    "network is too large to be put into this page. So there are no pictures of its weights, and " +
                    "it cannot read what you draw.",
            ),
        );
        return;
    }
    let kind = "wrong";
    const kinds = [
        ["wrong", "mistakes"],
        ["", "any"],
        ...report.classes.map((name, k) => [String(k), `only ${name}`]),
    ];
    fill(
        "units-body",
        element("p", { class: "lead" }, unitsLead(report.network.layers)),
        weightTiles(report),
        weightLegend(),
        element("h3", { id: "decision-title", tabindex: -1 }, "How they decide about one digit"),
        element(
            "div",
            { class: "toolbar screen-only" },
            chooser("Digits", kinds, value => {
                kind = value;
                nextDecision(kind);
            }),
            button("Next digit", () => nextDecision(kind)),
        ),
        element("div", { id: "decision-body" }),
    );
    const surest = report.digits
        .filter(digit => !digit.right)
        .sort((a, b) => b.confidence - a.confidence)[0];
    if (report.digits.length > 0) {
        decideAbout(surest ?? report.digits[0]);
    }
}
