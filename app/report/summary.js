"use strict";
/* The figures that matter most. */

/* Where the accuracy lies between the nearest whole percents around its interval. */
function intervalPicture(report) {
    const [low, high] = report.ci95;
    const from = Math.floor(100 * low) / 100;
    const to = Math.max(from + 0.01, Math.ceil(100 * high) / 100);
    const x = share => 8 + (284 * (share - from)) / (to - from);
    return svg(
        "svg",
        { viewBox: "0 0 300 40", class: "interval", "aria-hidden": "true" },
        svg("line", { x1: 8, x2: 292, y1: 14, y2: 14, class: "axis" }),
        svg("line", { x1: x(low), x2: x(high), y1: 14, y2: 14, class: "span" }),
        svg("circle", { cx: x(report.accuracy), cy: 14, r: 6, class: "dot" }),
        svg("text", { x: 8, y: 36 }, percentText(from, 0)),
        svg("text", { x: 292, y: 36, "text-anchor": "end" }, percentText(to, 0)),
    );
}

function figure(name, value, note) {
    return element(
        "div",
        { class: "figure" },
        element("dt", {}, name),
        element(
            "dd",
            {},
            element("span", { class: "number" }, value),
            element("span", { class: "note" }, note),
        ),
    );
}

function showSummary(report) {
    const wrong = report.total - report.correct;
    const [low, high] = report.ci95;
    const { model } = report;
    document.getElementById("title").textContent = model.file;
    document.getElementById("subtitle").textContent =
        `${model.network.replaceAll("->", "→")}. ${countText(model.parameters)} parameters, trained on ` +
        `${model.trained_on ?? "unknown data"}.`;
    const figures = [
        figure("Mistakes", countText(wrong), `of ${countText(report.total)} images`),
        figure(
            "Loss",
            report.loss === null ? "none" : report.loss.toFixed(4),
            "mean over the images",
        ),
    ];
    if (report.calibration) {
        figures.push(
            figure(
                "Calibration error",
                percentText(report.calibration.error, 2),
                "between confidence and accuracy",
            ),
        );
    }
    fill(
        "summary-body",
        element(
            "div",
            { class: "summary" },
            element(
                "div",
                { class: "accuracy" },
                element(
                    "p",
                    { class: "caption" },
                    `Accuracy on the ${setText(report)}: ${report.data.name}`,
                ),
                element("p", { class: "huge" }, percentText(report.accuracy, 2)),
                intervalPicture(report),
                element(
                    "p",
                    { class: "note" },
                    `95 % interval ${(100 * low).toFixed(2)} to ${(100 * high).toFixed(2)} % (Wilson)`,
                ),
            ),
            element("dl", { class: "figures" }, figures),
        ),
    );
}
