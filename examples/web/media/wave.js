/*
 * A wave of bars that wanders to the left on a canvas, one or several on top of each other.
 */

const BAR_PX = 3;
const GAP_PX = 2;
const BARS_MAX = 1000;

export class Wave {
	#canvas;
	#colours;
	#bars = []; // heights 0 to 1, one a layer
	#frame = 0; // in which it is drawn

	/* colours: of the layers, from back to front; null: the canvas's own. */
	constructor(canvas, colours = [null]) {
		this.#canvas = canvas;
		this.#colours = colours;
	}

	clear() {
		cancelAnimationFrame(this.#frame);
		this.#frame = 0;
		this.#bars = [];
		this.#canvas.getContext("2d").clearRect(0, 0, this.#canvas.width, this.#canvas.height);
	}

	/* peaks: one a layer, 0 to 1. */
	push(...peaks) {
		this.#bars.push(peaks.map((peak) => Math.sqrt(Math.min(1, peak))));
		if (this.#bars.length > BARS_MAX) this.#bars.shift(); // hidden, so never drawn
		this.#frame ||= requestAnimationFrame(() => this.#draw());
	}

	#draw() {
		this.#frame = 0;
		const canvas = this.#canvas;
		const scale = devicePixelRatio || 1;
		const width = Math.round(canvas.clientWidth * scale);
		const full = Math.round(canvas.clientHeight * scale);
		if (canvas.width !== width || canvas.height !== full) {
			canvas.width = width;
			canvas.height = full;
		}
		const step = (BAR_PX + GAP_PX) * scale;
		const n = Math.ceil(width / step);
		if (this.#bars.length > n) this.#bars.splice(0, this.#bars.length - n);
		const pen = canvas.getContext("2d");
		const style = getComputedStyle(canvas);
		pen.clearRect(0, 0, width, full);
		this.#colours.forEach((colour, layer) => {
			pen.fillStyle = colour ? style.getPropertyValue(colour) : style.color;
			pen.beginPath();
			this.#bars.forEach((heights, i) => {
				const h = Math.max(BAR_PX * scale, heights[layer] * full * 0.8);
				const x = width - (this.#bars.length - i) * step;
				pen.roundRect(x, (full - h) / 2, BAR_PX * scale, h, BAR_PX * scale);
			});
			pen.fill();
		});
	}
}
