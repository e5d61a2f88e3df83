"use strict";
/* Learning curves, from the log of the training run. */

const CHART = { width: 460, height: 280, left: 52, right: 16, top: 16, bottom: 40 };

/* Round numbers that divide low..high into about n parts (1, 2 or 5 times a power of ten). */
function ticks(low, high, n) {
    const rough = (high - low) / n || 1;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find(k => k * power >= rough * 0.999);
    const first = Math.ceil(low / step - 1e-9);
    const last = Math.floor(high / step + 1e-9);
    return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

/* Axes with ticks: {x, y} turn values into places; nodes draw them. */
function chartFrame(xRange, yRange, xTicks, yTicks, xText, yText, xTitle) {
    const { width, height, left, right, top, bottom } = CHART;
    const x = v => left + ((width - left - right) * (v - xRange[0])) / (xRange[1] - xRange[0] || 1);
    const y = v =>
        height -
        bottom -
        ((height - top - bottom) * (v - yRange[0])) / (yRange[1] - yRange[0] || 1);
    const nodes = [
        ...yTicks.flatMap(v => [
            svg("line", { x1: left, x2: width - right, y1: y(v), y2: y(v), class: "grid" }),
            svg("text", { x: left - 8, y: y(v) + 4, "text-anchor": "end" }, yText(v)),
        ]),
        ...xTicks.map(v =>
            svg("text", { x: x(v), y: height - bottom + 18, "text-anchor": "middle" }, xText(v)),
        ),
        svg(
            "text",
            {
                x: (left + width - right) / 2,
                y: height - 4,
                "text-anchor": "middle",
                class: "axis-title",
            },
            xTitle,
        ),
    ];
    return { x, y, nodes };
}

function linePath(points, frame) {
    return points
        .map(([a, b], i) => `${i ? "L" : "M"}${frame.x(a).toFixed(1)} ${frame.y(b).toFixed(1)}`)
        .join("");
}

/* Keeps two labels at the end of their lines apart. */
function endLabels(lines, frame) {
    const labels = lines
        .map(line => ({ line, y: frame.y(line.points[line.points.length - 1][1]) }))
        .sort((a, b) => a.y - b.y);
    if (labels.length === 2 && labels[1].y - labels[0].y < 30) {
        const middle = (labels[0].y + labels[1].y) / 2;
        [labels[0].y, labels[1].y] = [middle - 14, middle + 22];
    } else {
        labels.forEach((label, i) => {
            label.y += i === 0 ? -8 : 18;
        });
    }
    return labels.map(({ line, y }) =>
        svg(
            "text",
            {
                x: CHART.width - CHART.right,
                y: Math.min(CHART.height - CHART.bottom - 4, Math.max(12, y)),
                "text-anchor": "end",
                class: `line-name ${line.kind}`,
            },
            line.name,
        ),
    );
}

function curveChart(title, lines, text, yLimits) {
    const drawn = lines.filter(line => line.points.length > 0);
    const all = drawn.flatMap(line => line.points);
    const xs = all.map(p => p[0]);
    const ys = all.map(p => p[1]);
    const low = Math.min(...ys, ...yLimits.include);
    const yTicks = ticks(low, Math.max(...ys), 5);
    const yRange = [Math.min(low, yTicks[0]), Math.max(Math.max(...ys), yTicks[yTicks.length - 1])];
    const xRange = [Math.min(...xs), Math.max(...xs)];
    const xTicks = ticks(...xRange, 6).filter(v => Number.isInteger(v));
    const frame = chartFrame(xRange, yRange, xTicks, yTicks, String, text, "epoch");
    const last = line => line.points[line.points.length - 1];
    const words = drawn.map(line => `${line.name} ends at ${text(last(line)[1])}`).join("; ");
    return element(
        "figure",
        { class: "chart" },
        element("figcaption", {}, title),
        svg(
            "svg",
            {
                viewBox: `0 0 ${CHART.width} ${CHART.height}`,
                role: "img",
                "aria-label": `${title} by epoch: ${words}`,
            },
            frame.nodes,
            drawn.map(line =>
                svg("path", { d: linePath(line.points, frame), class: `curve ${line.kind}` }),
            ),
            drawn.map(line =>
                svg("circle", {
                    cx: frame.x(last(line)[0]),
                    cy: frame.y(last(line)[1]),
                    r: 3.5,
                    class: `end ${line.kind}`,
                }),
            ),
            endLabels(drawn, frame),
        ),
    );
}

function curveLines(points, key) {
    const line = (name, kind, field) => ({
        name,
        kind,
        points: points.filter(p => p[field] !== null).map(p => [p.epoch, p[field]]),
    });
    return [
        line("training", "training", key),
        line("validation", "validation", `validation_${key}`),
    ];
}

function epochTable(points) {
    const cell = (value, text) => element("td", {}, value === null ? "none" : text(value));
    const loss = value => value.toFixed(4);
    const share = value => percentText(value, 2);
    return element(
        "table",
        { class: "figures-table", "aria-label": "Loss and accuracy of each epoch" },
        element(
            "thead",
            {},
            element(
                "tr",
                {},
                [
                    "Epoch",
                    "Loss",
                    "Accuracy",
                    "Validation loss",
                    "Validation accuracy",
                    "Learning rate",
                ].map(name => element("th", { scope: "col" }, name)),
            ),
        ),
        element(
            "tbody",
            {},
            points.map(p =>
                element(
                    "tr",
                    {},
                    element("th", { scope: "row" }, countText(p.epoch)),
                    cell(p.loss, loss),
                    cell(p.accuracy, share),
                    cell(p.validation_loss, loss),
                    cell(p.validation_accuracy, share),
                    cell(p.learning_rate, value => value.toPrecision(3)),
                ),
            ),
        ),
    );
}

function showCurves(report) {
    const { history } = report;
    if (!history) {
        fill(
            "learning-body",
            element(
                "p",
                {},
                "The model file does not keep this, and no log was given. " +
                    "To have learning curves here: ",
                element("code", {}, "digits train --log run.jsonl"),
                ", then ",
                element("code", {}, "digits report --log run.jsonl"),
                ".",
            ),
        );
        return;
    }
    const { points } = history;
    const some =
        points.length < history.epochs
            ? ` Drawn are ${countText(points.length)} of ${countText(history.epochs)} epochs.`
            : "";
    fill(
        "learning-body",
        element(
            "p",
            { class: "lead" },
            "The training lines are means over an epoch, each batch as it " +
                "was seen, with dropout at work; the validation lines are measured after the epoch, on images " +
                `held out.${some}`,
        ),
        element(
            "div",
            { class: "charts" },
            curveChart("Loss", curveLines(points, "loss"), v => v.toFixed(2), { include: [0] }),
            curveChart("Accuracy", curveLines(points, "accuracy"), v => percentText(v, 0), {
                include: [],
            }),
        ),
        element(
            "details",
            {},
            element("summary", {}, "The numbers"),
            scrollable("Figures of each epoch", epochTable(points)),
        ),
    );
}
