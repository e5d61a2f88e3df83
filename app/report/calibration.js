"use strict";
/* The reliability diagram (DeGroot and Fienberg 1983): is what is said with 90 % right in 90 % of
 * the cases? */

const RELIABILITY = { width: 460, height: 360, left: 52, right: 16, top: 16, bottom: 40 };

/* Wilson's 95 % interval of k right ones among n. */
function wilson(k, n) {
    const z = 1.959964;
    const p = k / n;
    const centre = (p + (z * z) / (2 * n)) / (1 + (z * z) / n);
    const half = (z * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n))) / (1 + (z * z) / n);
    return [centre - half, centre + half];
}

function reliabilityChart(calibration) {
    const { width, height, left, right, top, bottom } = RELIABILITY;
    const x = v => left + (width - left - right) * v;
    const y = v => height - bottom - (height - top - bottom) * v;
    const quarters = [0, 0.25, 0.5, 0.75, 1];
    const used = calibration.bins
        .map((bin, i) => ({ ...bin, low: i / 10 }))
        .filter(bin => bin.images > 0);
    const axes = [
        ...quarters.flatMap(v => [
            svg("line", { x1: left, x2: width - right, y1: y(v), y2: y(v), class: "grid" }),
            svg("text", { x: left - 8, y: y(v) + 4, "text-anchor": "end" }, percentText(v, 0)),
            svg(
                "text",
                { x: x(v), y: height - bottom + 18, "text-anchor": v === 1 ? "end" : "middle" },
                percentText(v, 0),
            ),
        ]),
        svg(
            "text",
            {
                x: (left + width - right) / 2,
                y: height - 4,
                "text-anchor": "middle",
                class: "axis-title",
            },
            "confidence",
        ),
        svg("text", { x: left + 8, y: top + 12, class: "axis-title" }, "accuracy"),
    ];
    const bars = used.map(bin => {
        const share = bin.correct / bin.images;
        return svg("rect", {
            x: x(bin.low) + 2,
            width: x(0.1) - x(0) - 4,
            y: y(share),
            height: Math.max(1, y(0) - y(share)),
            class: "share-bar",
        });
    });
    const whiskers = used.map(bin => {
        const [low, high] = wilson(bin.correct, bin.images);
        return svg("line", {
            x1: x(bin.low + 0.05),
            x2: x(bin.low + 0.05),
            y1: y(low),
            y2: y(high),
            class: "whisker",
        });
    });
    const dots = used.map(bin =>
        svg("circle", {
            cx: x(bin.confidence),
            cy: y(bin.correct / bin.images),
            r: 3.5,
            class: "dot",
        }),
    );
    const label = "Reliability diagram: accuracy by confidence. The table below has the numbers.";
    return element(
        "figure",
        { class: "chart" },
        svg(
            "svg",
            { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
            axes,
            bars,
            svg("line", { x1: x(0), y1: y(0), x2: x(1), y2: y(1), class: "diagonal" }),
            whiskers,
            dots,
        ),
    );
}

function reliabilityTable(calibration) {
    const used = calibration.bins.map((bin, i) => ({ ...bin, i })).filter(bin => bin.images > 0);
    return element(
        "table",
        { class: "figures-table", "aria-label": "Confidence and accuracy" },
        element(
            "thead",
            {},
            element(
                "tr",
                {},
                ["Confidence", "Images", "Its mean", "Accuracy"].map(name =>
                    element("th", { scope: "col" }, name),
                ),
            ),
        ),
        element(
            "tbody",
            {},
            used.map(bin =>
                element(
                    "tr",
                    {},
                    element("th", { scope: "row" }, `${10 * bin.i} to ${10 * bin.i + 10} %`),
                    element("td", {}, countText(bin.images)),
                    element("td", {}, percentText(bin.confidence)),
                    element("td", {}, percentText(bin.correct / bin.images)),
                ),
            ),
        ),
    );
}

/* "It says 97.0 % on average, and is right in 95.6 % of the cases: a little too sure." */
function verdict(report) {
    const { bins } = report.calibration;
    const mean =
        bins.reduce((sum, bin) => sum + bin.images * (bin.confidence ?? 0), 0) / report.total;
    const gap = mean - report.accuracy;
    const words =
        Math.abs(gap) < 0.005
            ? "about as sure as it should be"
            : `${Math.abs(gap) < 0.03 ? "a little " : ""}${gap > 0 ? "too sure" : "too cautious"}`;
    return (
        `On average it says ${percentText(mean)} and is right in ${percentText(report.accuracy)} ` +
        `of the cases: ${words}.`
    );
}

function showCalibration(report) {
    if (!report.calibration) {
        fill(
            "confidence-body",
            element(
                "p",
                {},
                "The outputs of this network are no probabilities, so " +
                    "there is nothing to compare with its accuracy. A softmax or sigmoid output gives them.",
            ),
        );
        return;
    }
    fill(
        "confidence-body",
        element(
            "p",
            { class: "lead" },
            verdict(report),
            " Each bar gathers the images that were read with about the same confidence; where it ends on " +
                "the diagonal, the confidence is right. The lines are 95 % intervals.",
        ),
        element(
            "div",
            { class: "halves" },
            reliabilityChart(report.calibration),
            element(
                "div",
                {},
                scrollable("Confidence and accuracy", reliabilityTable(report.calibration)),
                element(
                    "p",
                    { class: "note" },
                    "Expected calibration error ",
                    element("b", {}, percentText(report.calibration.error, 2)),
                    ": the gap between confidence and accuracy, averaged over all images (ten bins).",
                ),
            ),
        ),
    );
}
