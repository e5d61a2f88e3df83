'use strict';
/* Prepares pictures as the page does: node prepare.js PREPARE.JS reads, from stdin, a JSON object a
 * line, {width, height, channels, pixels} with the pixels in base64, and prints what is found in it,
 * one line a picture. */
const { prepare } = require(require('path').resolve(process.argv[2]));
const lines = require('fs').readFileSync(0, 'utf8').trim().split('\n');
for (const line of lines) {
  const { width, height, channels, pixels } = JSON.parse(line);
  const found = prepare({ width, height, channels, pixels: new Uint8Array(Buffer.from(pixels, 'base64')) });
  console.log(JSON.stringify(found.map(({ box, pixels: own, isDigit }) => (
    { box, pixels: Array.from(own), isDigit }))));
}
