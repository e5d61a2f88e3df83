"use strict";
/* Fills the page, from the top. */

async function main() {
    const report = await readReport();
    prepareDigitView(report, digit => visitDecision(() => decideAbout(digit)));
    showSummary(report);
    showDrawing(report);
    showMatrix(report);
    showGallery(report);
    showClasses(report);
    showCalibration(report);
    showUnits(report);
    showCurves(report);
    showOrigin(report);
    performance.mark("ready");
    document.documentElement.dataset.ready = "yes";
}

main().catch(error => {
    const notice = document.getElementById("failure");
    notice.textContent =
        `This page could not be shown in full: ${error.message}. It needs a browser of ` +
        "2023 or later.";
    notice.hidden = false;
    throw error;
});
