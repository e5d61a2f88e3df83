/*
 * Digits in a picture, prepared as those of MNIST were: the same as app/picture/prepare.c and the
 * files below it (light.c, segment.c, normalise.c, shape.c), function by function and byte for byte.
 * What each step is for stands there; here is only what JavaScript makes different. All numbers are
 * whole and below 2^53, so that nothing is rounded; div() divides as C does for numbers that are not
 * negative.
 *
 *      prepare({width, height, channels, pixels})
 *
 * takes bytes [height][width][channels], channels being 1 (grey), 3 (RGB) or 4 (RGBA, as a canvas
 * gives it; what is transparent is seen on white), and returns an array, in reading order, of
 *
 *     {box: {left, top, right, bottom}, pixels: Uint8Array(784), isDigit: true}
 *
 * with the box in the picture's pixels and the 28 x 28 bytes that a network reads, 0 paper to 255
 * ink; isDigit is false for a scribble. It changes nothing, keeps nothing, and touches no document.
 */
const prepare = (() => {
  'use strict';

  const div = (a, b) => Math.floor(a / b);
  const makePlane = (width, height) => ({width, height, at: new Uint8Array(width * height)});

  /* ---- app/picture/light.c -------------------------------------------------------------- */

  const LIGHT_MAX_SIDE = 1200, PREFER_COLOUR = 2, COARSE_SIDE = 64, REACH_OF_SIDE = 7;
  const DARKEST_SHARE = 10000, DARKEST_LEAST = 8, NOISE_SHARE = 12, SMOOTHINGS_MAX = 4;

  /* RGBA on white, as C's readers give it. */
  function onWhite(picture) {
    if (picture.channels !== 4) {
      return picture;
    }
    const n = picture.width * picture.height, pixels = new Uint8Array(3 * n);
    for (let i = 0; i < n; i++) {
      const opaque = picture.pixels[4 * i + 3];
      for (let c = 0; c < 3; c++) {
        const sum = picture.pixels[4 * i + c] * opaque + 255 * (255 - opaque);
        pixels[3 * i + c] = div(2 * sum + 255, 510);
      }
    }
    return {width: picture.width, height: picture.height, channels: 3, pixels};
  }

  function squareMean(from, channel, left, top, side) {
    const right = Math.min(left + side, from.width);
    const bottom = Math.min(top + side, from.height);
    const n = (right - left) * (bottom - top);
    let sum = 0;
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++) {
        sum += from.pixels[(y * from.width + x) * from.channels + channel];
      }
    }
    return div(2 * sum + n, 2 * n);
  }

  function shrink(from, channel, factor) {
    const small = makePlane(div(from.width + factor - 1, factor),
                div(from.height + factor - 1, factor));
    for (let y = 0; y < small.height; y++) {
      for (let x = 0; x < small.width; x++) {
        small.at[y * small.width + x] =
          squareMean(from, channel, x * factor, y * factor, factor);
      }
    }
    return small;
  }

  function variation(p) {
    const n = p.width * p.height;
    let sum = 0, squares = 0;
    for (let i = 0; i < n; i++) {
      sum += p.at[i];
    }
    const mean = div(sum, n);
    for (let i = 0; i < n; i++) {
      squares += (p.at[i] - mean) * (p.at[i] - mean);
    }
    return squares;
  }

  function greyOfColours(from, factor) {
    const views = [0, 1, 2, 0].map((channel) => shrink(from, channel, factor));
    const [red, green, blue, bright] = views;
    for (let i = 0; i < bright.at.length; i++) {
      bright.at[i] =
        div(299 * red.at[i] + 587 * green.at[i] + 114 * blue.at[i] + 500, 1000);
    }
    let best = bright, most = variation(bright) * PREFER_COLOUR;
    for (const view of [red, green, blue]) {
      const own = variation(view);
      best = own > most ? view : best;
      most = Math.max(own, most);
    }
    return best;
  }

  const reachOf = (coarse) => div(Math.min(coarse.width, coarse.height), REACH_OF_SIDE) + 1;

  function extremeLine(at, first, n, step, reach, largest, copy) {
    for (let i = 0; i < n; i++) {
      copy[i] = at[first + i * step];
    }
    for (let i = 0; i < n; i++) {
      const end = Math.min(n - 1, i + reach);
      let best = copy[i];
      for (let j = Math.max(0, i - reach); j <= end; j++) {
        best = largest ? Math.max(best, copy[j]) : Math.min(best, copy[j]);
      }
      at[first + i * step] = best;
    }
  }

  function extremes(p, reach, largest) {
    const copy = new Uint8Array(Math.max(p.width, p.height));
    for (let y = 0; y < p.height; y++) {
      extremeLine(p.at, y * p.width, p.width, 1, reach, largest, copy);
    }
    for (let x = 0; x < p.width; x++) {
      extremeLine(p.at, x, p.height, p.width, reach, largest, copy);
    }
  }

  function sumCorners(p) {
    const stride = p.width + 1, sums = new Uint32Array(stride * (p.height + 1));
    for (let y = 0; y < p.height; y++) {
      let row = 0;
      for (let x = 0; x < p.width; x++) {
        row += p.at[y * p.width + x];
        sums[(y + 1) * stride + x + 1] = sums[y * stride + x + 1] + row;
      }
    }
    return sums;
  }

  function windowMean(sums, p, x, y, reach) {
    const left = Math.max(0, x - reach), right = Math.min(x + reach + 1, p.width);
    const top = Math.max(0, y - reach), bottom = Math.min(y + reach + 1, p.height);
    const upper = top * (p.width + 1), lower = bottom * (p.width + 1);
    const sum = sums[lower + right] - sums[lower + left] - sums[upper + right] +
          sums[upper + left];
    return div(sum, (right - left) * (bottom - top));
  }

  function findInk(coarse) {
    const sums = sumCorners(coarse), reach = 2 * reachOf(coarse);
    let lean = 0;
    for (let y = 0; y < coarse.height; y++) {
      for (let x = 0; x < coarse.width; x++) {
        const far = coarse.at[y * coarse.width + x] - windowMean(sums, coarse, x, y, reach);
        lean += far * far * far;
      }
    }
    return lean > 0;
  }

  function place(pixel, side, cells) {
    const middle = 2 * pixel + 1;
    if (middle < side) {
      return {at: 0, next: 0, share: 0};
    }
    const at = div(middle - side, 2 * side);
    return {at, next: Math.min(at + 1, cells - 1), share: (middle - side) % (2 * side)};
  }

  function paperAt(coarse, x, y, side) {
    const upper = y.at * coarse.width, lower = y.next * coarse.width, rest = 2 * side - x.share;
    const a = coarse.at[upper + x.at] * rest + coarse.at[upper + x.next] * x.share;
    const b = coarse.at[lower + x.at] * rest + coarse.at[lower + x.next] * x.share;
    return div(a * (2 * side - y.share) + b * y.share, 4 * side * side);
  }

  function even(p, coarse, side) {
    const columns = [];
    for (let x = 0; x < p.width; x++) {
      columns.push(place(x, side, coarse.width));
    }
    for (let y = 0; y < p.height; y++) {
      const row = place(y, side, coarse.height);
      for (let x = 0; x < p.width; x++) {
        const paper = paperAt(coarse, columns[x], row, side), i = y * p.width + x;
        p.at[i] = 255 - (paper > 0 ? Math.min(255, div(p.at[i] * 255, paper)) : 255);
      }
    }
  }

  function invert(p) {
    for (let i = 0; i < p.at.length; i++) {
      p.at[i] = 255 - p.at[i];
    }
  }

  function flatten(p) {
    const side = div(Math.min(p.width, p.height) + COARSE_SIDE - 1, COARSE_SIDE);
    const picture = {width: p.width, height: p.height, channels: 1, pixels: p.at};
    const coarse = shrink(picture, 0, side);
    if (findInk(coarse)) {
      invert(p);
      invert(coarse);
    }
    const reach = reachOf(coarse);
    extremes(coarse, reach, true);
    extremes(coarse, reach, false);
    even(p, coarse, side);
  }

  function histogramMean(count, from, to, otherwise) {
    let n = 0, sum = 0;
    for (let v = from; v < to; v++) {
      n += count[v];
      sum += count[v] * v;
    }
    return n > 0 ? div(sum, n) : otherwise;
  }

  function findLevels(l) {
    const count = new Uint32Array(256), n = l.dark.at.length;
    for (let i = 0; i < n; i++) {
      count[l.dark.at[i]]++;
    }
    const enough = Math.max(div(n, DARKEST_SHARE), DARKEST_LEAST);
    let darkest = 255;
    for (let above = count[255]; darkest > 0 && above < enough;) {
      above += count[--darkest];
    }
    let threshold = div(darkest, 2), before = 256;
    for (let turn = 0; turn < 256 && threshold !== before; turn++) {
      before = threshold;
      l.paper = histogramMean(count, 0, threshold + 1, 0);
      l.ink = histogramMean(count, threshold + 1, 256, threshold);
      threshold = div(l.paper + l.ink, 2);
    }
  }

  function noiseOf(p) {
    const count = new Uint32Array(256);
    let n = 0, median = 0;
    for (let y = 0; y < p.height; y++) {
      for (let x = 1; x < p.width; x++, n++) {
        count[Math.abs(p.at[y * p.width + x] - p.at[y * p.width + x - 1])]++;
      }
    }
    for (let below = count[0]; 2 * below < n;) {
      below += count[++median];
    }
    return median;
  }

  function smoothLine(at, first, n, step) {
    let before = at[first];
    for (let i = 0; i < n; i++) {
      const own = at[first + i * step], next = i + 1 < n ? at[first + (i + 1) * step] : own;
      at[first + i * step] = div(before + own + next + 1, 3);
      before = own;
    }
  }

  function smooth(p) {
    for (let y = 0; y < p.height; y++) {
      smoothLine(p.at, y * p.width, p.width, 1);
    }
    for (let x = 0; x < p.width; x++) {
      smoothLine(p.at, x, p.height, p.width);
    }
  }

  function measureLight(picture) {
    const factor = div(Math.max(picture.width, picture.height) + LIGHT_MAX_SIDE - 1,
              LIGHT_MAX_SIDE);
    const dark = picture.channels === 1 ? shrink(picture, 0, factor)
                      : greyOfColours(picture, factor);
    const l = {dark, factor, paper: 0, ink: 0};
    flatten(l.dark);
    findLevels(l);
    for (let k = 0; k < SMOOTHINGS_MAX; k++) {
      if (noiseOf(l.dark) * NOISE_SHARE <= l.ink - l.paper) {
        break;
      }
      smooth(l.dark);
      findLevels(l);
    }
    return l;
  }

  /* ---- app/picture/segment.c ------------------------------------------------------------ */

  const CONTRAST_MIN = 45, WEAK_SHARE = 3, PIECE_SIDE_MIN = 2, PIECE_SIDE_SHARE = 100;
  const MAX_PIECES = 1000, ALONG_EDGE = 2, CLEAR_OF_SIDE = 12, CLEAR_OF_EDGE = 4;
  const SPECK_SHARE = 8;
  const NONE = 0, UNSEEN = 65535;

  const widthOf = (b) => b.right - b.left;
  const heightOf = (b) => b.bottom - b.top;
  const sideOf = (b) => Math.max(widthOf(b), heightOf(b));

  const boxAround = (a, b) => ({left: Math.min(a.left, b.left), top: Math.min(a.top, b.top),
                 right: Math.max(a.right, b.right),
                 bottom: Math.max(a.bottom, b.bottom)});

  function follow(f, start, number) {
    const {width, height, at} = f.dark, {piece, queue} = f;
    const around = {left: Infinity, top: Infinity, right: 0, bottom: 0};
    let n = 0, strong = false;
    queue[n++] = start;
    piece[start] = number;
    for (let k = 0; k < n; k++) {
      const x = queue[k] % width, y = div(queue[k], width);
      around.left = Math.min(around.left, x);
      around.top = Math.min(around.top, y);
      around.right = Math.max(around.right, x + 1);
      around.bottom = Math.max(around.bottom, y + 1);
      strong = strong || at[queue[k]] >= f.strong;
      for (let row = Math.max(0, y - 1); row < Math.min(y + 2, height); row++) {
        for (let column = Math.max(0, x - 1); column < Math.min(x + 2, width); column++) {
          const other = row * width + column;
          if (piece[other] === UNSEEN) {
            piece[other] = number;
            queue[n++] = other;
          }
        }
      }
    }
    return {n, strong, around};
  }

  function findPieces(l) {
    const n = l.dark.at.length, contrast = l.ink - l.paper, boxes = [];
    const weak = l.paper + div(contrast, WEAK_SHARE) + 1;
    const sideMin =
      PIECE_SIDE_MIN + div(Math.min(l.dark.width, l.dark.height), PIECE_SIDE_SHARE);
    const f = {dark: l.dark, strong: l.paper + div(contrast, 2) + 1,
          queue: new Uint32Array(n), piece: new Uint16Array(n)};
    for (let i = 0; i < n; i++) {
      f.piece[i] = l.dark.at[i] >= weak ? UNSEEN : NONE;
    }
    for (let i = 0; i < n; i++) {
      if (f.piece[i] !== UNSEEN) {
        continue;
      }
      const found = follow(f, i, boxes.length + 1);
      if (found.strong && sideOf(found.around) >= sideMin && boxes.length < MAX_PIECES) {
        boxes.push(found.around);
      } else {
        for (let k = 0; k < found.n; k++) {
          f.piece[f.queue[k]] = NONE;
        }
      }
    }
    return {piece: f.piece, boxes};
  }

  function countEdges(piece, p, n) {
    const along = new Uint32Array(n + 1);
    for (let x = 0; x < p.width; x++) {
      along[piece[x]]++;
      along[piece[(p.height - 1) * p.width + x]]++;
    }
    for (let y = 0; y < p.height; y++) {
      along[piece[y * p.width]]++;
      along[piece[y * p.width + p.width - 1]]++;
    }
    return along;
  }

  function dropEdges(piece, boxes, p) {
    const along = countEdges(piece, p, boxes.length);
    const dropped = boxes.map((b, k) => along[k + 1] * ALONG_EDGE > sideOf(b));
    let clear = 0, edge = 0;
    boxes.forEach((b, k) => {
      if (dropped[k]) {
        edge = Math.max(edge, sideOf(b));
      } else {
        clear = Math.max(clear, sideOf(b));
      }
    });
    const alone = clear * CLEAR_OF_SIDE < Math.min(p.width, p.height) &&
                  clear * CLEAR_OF_EDGE < edge;
    return dropped.map((drop) => drop && !alone);
  }

  function dropSpecks(boxes, dropped) {
    let largest = 0;
    boxes.forEach((b, k) => {
      largest = Math.max(largest, dropped[k] ? 0 : sideOf(b));
    });
    boxes.forEach((b, k) => {
      dropped[k] = dropped[k] || sideOf(b) * SPECK_SHARE < largest;
    });
  }

  const gap = (aFrom, aTo, bFrom, bTo) => Math.max(0, Math.max(aFrom, bFrom) - Math.min(aTo, bTo));
  const overlap = (aFrom, aTo, bFrom, bTo) =>
    Math.max(0, Math.min(aTo, bTo) - Math.max(aFrom, bFrom));

  function areHalves(a, b) {
    const both = boxAround(a, b);
    const high = Math.max(heightOf(a), heightOf(b)), low = Math.min(heightOf(a), heightOf(b));
    const across = overlap(a.left, a.right, b.left, b.right);
    const apart = gap(a.top, a.bottom, b.top, b.bottom);
    const likeOne = overlap(a.top, a.bottom, b.top, b.bottom) > 0 || low * 3 <= high * 2 ||
            heightOf(both) * 2 <= widthOf(both) * 3;
    return across * 2 >= Math.min(widthOf(a), widthOf(b)) && apart * 5 <= high && likeOne;
  }

  function isRoof(a, b) {
    const high = Math.max(heightOf(a), heightOf(b)), low = Math.min(heightOf(a), heightOf(b));
    const side = Math.max(sideOf(a), sideOf(b));
    return low * 2 <= high && gap(a.left, a.right, b.left, b.right) * 6 <= side &&
        gap(a.top, a.bottom, b.top, b.bottom) * 4 <= side;
  }

  function joinPieces(boxes, dropped) {
    const digit = new Uint16Array(boxes.length + 1);
    boxes.forEach((b, k) => {
      digit[k + 1] = dropped[k] ? 0 : k + 1;
    });
    for (let a = 0; a < boxes.length; a++) {
      for (let b = a + 1; b < boxes.length; b++) {
        const one = digit[a + 1], other = digit[b + 1];
        if (one === other || !one || !other ||
          !(areHalves(boxes[a], boxes[b]) || isRoof(boxes[a], boxes[b]))) {
          continue;
        }
        const first = Math.min(one, other), later = Math.max(one, other);
        for (let k = 1; k <= boxes.length; k++) {
          digit[k] = digit[k] === later ? first : digit[k];
        }
      }
    }
    return digit;
  }

  function numberDigits(boxes, digit) {
    const around = [];
    for (let first = 1; first <= boxes.length; first++) {
      if (digit[first] !== first) {
        continue;
      }
      let own = boxes[first - 1];
      for (let k = first; k <= boxes.length; k++) {
        if (digit[k] === first) {
          own = boxAround(own, boxes[k - 1]);
          digit[k] = around.length + 1;
        }
      }
      around.push(own);
    }
    return around;
  }

  const inLine = (a, b) => overlap(a.top, a.bottom, b.top, b.bottom) * 2 >=
               Math.min(heightOf(a), heightOf(b));

  function findLines(boxes) {
    const at = boxes.map(() => ({line: 0, top: 0}));
    for (let turn = 0; turn < boxes.length; turn++) {
      let own = -1, before = -1;
      for (let k = 0; k < boxes.length; k++) {
        if (at[k].line === 0 && (own < 0 || boxes[k].left < boxes[own].left)) {
          own = k;
        }
      }
      for (let k = 0; k < boxes.length; k++) {
        if (at[k].line > 0 && inLine(boxes[k], boxes[own]) &&
          (before < 0 || boxes[k].left > boxes[before].left)) {
          before = k;
        }
      }
      at[own].line = before < 0 ? turn + 1 : at[before].line;
      at[own].top = before < 0 ? boxes[own].top : at[before].top;
    }
    return at;
  }

  /* Returns the numbers of the digits in reading order. */
  function readingOrder(boxes) {
    const at = findLines(boxes);
    return boxes.map((b, k) => k).sort(
      (a, b) => at[a].line !== at[b].line
             ? at[a].top - at[b].top || at[a].line - at[b].line
             : boxes[a].left - boxes[b].left || a - b);
  }

  function findDigits(l) {
    if (l.ink - l.paper < CONTRAST_MIN) {
      return {boxes: [], order: []};
    }
    const {piece, boxes} = findPieces(l), dropped = dropEdges(piece, boxes, l.dark);
    dropSpecks(boxes, dropped);
    const digit = joinPieces(boxes, dropped), around = numberDigits(boxes, digit);
    return {piece, digit, boxes: around, order: readingOrder(around)};
  }

  /* ---- app/picture/normalise.c ---------------------------------------------------------- */

  const NORMAL_SIDE = 28, NORMAL_BOX = 20, SQUARE_MIN = 10, FINE = 4 * NORMAL_BOX;
  const PEN_MIN = 34, PEN_MAX = 52, SPREAD_MAX = 6, MARGIN = 2 * SPREAD_MAX;
  const SHEET = FINE + 2 * MARGIN;

  function squareAround(at, first, stride, width, height) {
    const side = Math.max(width, height, SQUARE_MIN);
    return {at, first, stride, width, height, side, left: div(side - width, 2),
        top: div(side - height, 2)};
  }

  const shared = (from, side, to, cells) =>
    Math.min((from + 1) * cells, (to + 1) * side) - Math.max(from * cells, to * side);

  function addRow(sums, s, first, cells) {
    sums.fill(0);
    for (let x = 0; x < s.width; x++) {
      const from = s.left + x;
      for (let to = div(from * cells, s.side); to * s.side < (from + 1) * cells; to++) {
        sums[to] += s.at[first + x] * shared(from, s.side, to, cells);
      }
    }
  }

  function resample(s, cells) {
    const sums = new Float64Array(cells * cells), across = new Float64Array(cells);
    for (let y = 0; y < s.height; y++) {
      const from = s.top + y;
      addRow(across, s, s.first + y * s.stride, cells);
      for (let to = div(from * cells, s.side); to * s.side < (from + 1) * cells; to++) {
        const weight = shared(from, s.side, to, cells);
        for (let x = 0; x < cells; x++) {
          sums[to * cells + x] += across[x] * weight;
        }
      }
    }
    return sums;
  }

  function fineSheet(s) {
    const sums = resample(s, FINE), sheet = new Uint8Array(SHEET * SHEET);
    for (let i = 0; i < FINE * FINE; i++) {
      sheet[(MARGIN + div(i, FINE)) * SHEET + MARGIN + i % FINE] =
        div(sums[i], s.side * s.side);
    }
    return sheet;
  }

  function penWidth(sheet) {
    let area = 0, edge = 0;
    for (let y = 1; y < SHEET; y++) {
      for (let x = 1; x < SHEET; x++) {
        const i = y * SHEET + x;
        area += sheet[i];
        edge += Math.abs(sheet[i] - sheet[i - 1]) + Math.abs(sheet[i] - sheet[i - SHEET]);
      }
    }
    return edge > 0 ? div(area * 10, edge) : 0;
  }

  function extreme(sheet, x, y, radius, largest) {
    let best = sheet[y * SHEET + x];
    for (let dy = -radius; dy <= radius; dy++) {
      for (let dx = -radius; dx <= radius; dx++) {
        const other = sheet[(y + dy) * SHEET + x + dx];
        if (dx * dx + dy * dy <= radius * radius && other > best === largest) {
          best = other;
        }
      }
    }
    return best;
  }

  function spread(from, radius, ink) {
    const to = new Uint8Array(SHEET * SHEET);
    for (let y = radius; y < SHEET - radius; y++) {
      for (let x = radius; x < SHEET - radius; x++) {
        to[y * SHEET + x] = extreme(from, x, y, radius, ink);
      }
    }
    return to;
  }

  function findSquare(sheet) {
    let left = SHEET, top = SHEET, right = 0, bottom = 0;
    for (let y = 0; y < SHEET; y++) {
      for (let x = 0; x < SHEET; x++) {
        if (sheet[y * SHEET + x] > 0) {
          left = Math.min(left, x);
          top = Math.min(top, y);
          right = Math.max(right, x + 1);
          bottom = Math.max(bottom, y + 1);
        }
      }
    }
    return right === 0
          ? null
          : squareAround(sheet, top * SHEET + left, SHEET, right - left, bottom - top);
  }

  function correctPen(s) {
    const fine = fineSheet(s), width = penWidth(fine), thin = width < PEN_MIN;
    const excess = thin ? PEN_MIN - width : Math.max(0, width - PEN_MAX);
    const radius = Math.min(div(excess + 3, 8), SPREAD_MAX);
    return radius > 0 ? findSquare(spread(fine, radius, thin)) || s : s;
  }

  function stretch(sums) {
    let most = 1;
    for (const sum of sums) {
      most = Math.max(most, sum);
    }
    return Uint8Array.from(sums, (sum) => div(510 * sum + most, 2 * most));
  }

  function frame(boxed) {
    const out = new Uint8Array(NORMAL_SIDE * NORMAL_SIDE);
    let ink = 0, across = 0, down = 0;
    for (let i = 0; i < boxed.length; i++) {
      ink += boxed[i];
      across += boxed[i] * (i % NORMAL_BOX);
      down += boxed[i] * div(i, NORMAL_BOX);
    }
    const left = Math.trunc((29 * ink - 2 * across) / (2 * ink));
    const top = Math.trunc((29 * ink - 2 * down) / (2 * ink));
    for (let i = 0; i < boxed.length; i++) {
      const x = left + i % NORMAL_BOX, y = top + div(i, NORMAL_BOX);
      if (x >= 0 && x < NORMAL_SIDE && y >= 0 && y < NORMAL_SIDE) {
        out[y * NORMAL_SIDE + x] = boxed[i];
      }
    }
    return out;
  }

  const normalise = (ink) =>
    frame(stretch(resample(correctPen(squareAround(ink.at, 0, ink.width, ink.width,
                            ink.height)), NORMAL_BOX)));

  /* ---- app/picture/shape.c -------------------------------------------------------------- */

  const INK_FROM = 128, INK_MAX = 180, RUNS_MAX = 78, BUSIEST_MAX = 4, FLAT_MAX = 16;

  function countRuns(pixels, first, step) {
    let runs = 0;
    for (let i = 0; i < NORMAL_SIDE; i++) {
      const starts = i === 0 || pixels[first + (i - 1) * step] < INK_FROM;
      runs += pixels[first + i * step] >= INK_FROM && starts ? 1 : 0;
    }
    return runs;
  }

  function isDigit(pixels) {
    const rows = [], columns = [];
    for (let i = 0; i < NORMAL_SIDE; i++) {
      rows.push(countRuns(pixels, i * NORMAL_SIDE, 1));
      columns.push(countRuns(pixels, i, NORMAL_SIDE));
    }
    const sum = (values) => values.reduce((a, b) => a + b, 0), inked = (runs) => runs > 0;
    const length = (lines) => lines.findLastIndex(inked) + 1 - lines.findIndex(inked);
    const runs = sum(rows) + sum(columns);
    return runs > 0 && div(sum(Array.from(pixels)), 255) <= INK_MAX && runs <= RUNS_MAX &&
           Math.max(...rows, ...columns) <= BUSIEST_MAX &&
           div(length(columns) * 10, length(rows)) <= FLAT_MAX;
  }

  /* ---- app/picture/prepare.c ------------------------------------------------------------ */

  /* Calls see(darkness, own) for each pixel of digit k's box in turn. */
  function visit(l, s, k, see) {
    const b = s.boxes[k];
    for (let y = b.top; y < b.bottom; y++) {
      for (let x = b.left; x < b.right; x++) {
        const at = y * l.dark.width + x;
        see(l.dark.at[at], s.digit[s.piece[at]] === k + 1);
      }
    }
  }

  function ownInk(l, s, k) {
    const middle = div(l.ink + l.paper, 2);
    let sum = 0, n = 0;
    visit(l, s, k, (dark, own) => {
      if (own && dark > middle) {
        sum += dark;
        n++;
      }
    });
    return n > 0 ? div(sum, n) : l.ink;
  }

  function cut(l, s, k) {
    const contrast = ownInk(l, s, k) - l.paper;
    const none = l.paper + div(contrast, 4), span = div(contrast, 2);
    const ink = makePlane(widthOf(s.boxes[k]), heightOf(s.boxes[k]));
    let i = 0;
    visit(l, s, k, (dark, own) => {
      ink.at[i++] = own && dark > none ? Math.min(255, div((dark - none) * 255, span)) : 0;
    });
    return ink;
  }

  const enlarge = (b, factor, picture) => ({left: b.left * factor, top: b.top * factor,
                       right: Math.min(b.right * factor, picture.width),
                       bottom: Math.min(b.bottom * factor, picture.height)});

  return (picture) => {
    const l = measureLight(onWhite(picture)), s = findDigits(l);
    return s.order.map((k) => {
      const pixels = normalise(cut(l, s, k));
      return {box: enlarge(s.boxes[k], l.factor, picture), pixels, isDigit: isDigit(pixels)};
    });
  };
})();

if (typeof module !== 'undefined') {
  module.exports = { prepare };
}
