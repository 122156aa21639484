/*
 * Where the tiles of a call lie on the floor: pure arithmetic, in CSS pixels.
 *
 *   grid      all alike, in the columns that make them largest
 *   speaker   one large, the others in rows below it
 *
 * What does not fit at a useful size continues below the floor's edge, which scrolls. Tiles out of sight
 * ask the server for nothing (wants.js).
 */

const GAP = 8;
/* Narrower than 4:3 crops heads, wider than 16:9 is wider than cameras. */
const NARROWEST = 4 / 3;
const WIDEST = 16 / 9;
const SMALLEST = 136; // width at which faces can still be told apart
const STRIP = { most: 176, least: 104 }; // width of a small tile beside a large one
/* Of the floor's height, for the small ones together. */
const STRIP_SHARE = 0.4;

/* [{x, y, width, height, large}] for `n` tiles; in "speaker" mode number `chosen` is the large one. */
export function layout({ n, width, height, mode = "grid", chosen = 0 }) {
	if (n < 1 || width <= 0 || height <= 0) return [];
	return mode === "speaker" && n > 1 ? speaker(n, width, height, chosen) : grid(n, width, height);
}

/* The largest tile of a good shape in a cell of this size. */
function fit(width, height) {
	const shape = Math.min(WIDEST, Math.max(NARROWEST, width / height));
	return width / height > shape ? { width: height * shape, height } : { width, height: width / shape };
}

function grid(n, width, height) {
	let best = null;
	for (let columns = 1; columns <= n; columns++) {
		const rows = Math.ceil(n / columns);
		const cell = fit((width - GAP * (columns - 1)) / columns, (height - GAP * (rows - 1)) / rows);
		if (!best || cell.width * cell.height > best.width * best.height + 1) best = { ...cell, columns };
	}
	if (best.width < SMALLEST) {
		const columns = Math.max(1, Math.floor((width + GAP) / (SMALLEST + GAP)));
		const side = (width - GAP * (columns - 1)) / columns;
		best = { width: side, height: side / WIDEST, columns };
	}
	return place(n, best, { x: 0, y: 0, width, height });
}

/* Rows of equal tiles in the middle of `area`; the last row is centred. */
function place(n, { width, height, columns }, area) {
	const rows = Math.ceil(n / columns);
	const used = rows * height + (rows - 1) * GAP;
	const top = area.y + Math.max(0, (area.height - used) / 2);
	return Array.from({ length: n }, (_, i) => {
		const row = Math.floor(i / columns);
		const inRow = Math.min(columns, n - row * columns);
		const left = area.x + (area.width - inRow * width - (inRow - 1) * GAP) / 2;
		return { x: left + (i % columns) * (width + GAP), y: top + row * (height + GAP), width, height, large: false };
	});
}

function speaker(n, width, height, chosen) {
	const others = n - 1;
	const share = (width - GAP * (others - 1)) / others;
	const small = Math.min(STRIP.most, Math.max(STRIP.least, share), (height * STRIP_SHARE) * WIDEST);
	const columns = Math.max(1, Math.min(others, Math.floor((width + GAP) / (small + GAP))));
	const rows = Math.ceil(others / columns);
	const cell = { width: small, height: small / WIDEST, columns };
	const strip = Math.min(rows * (cell.height + GAP), height * STRIP_SHARE);
	const stage = fit(width, height - strip);
	const rects = place(others, cell, { x: 0, y: height - strip + GAP, width, height: strip - GAP });
	const large = {
		x: (width - stage.width) / 2, y: (height - strip - stage.height) / 2,
		width: stage.width, height: stage.height, large: true,
	};
	return [...rects.slice(0, chosen), large, ...rects.slice(chosen)];
}
