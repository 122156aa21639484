/*
 * Level meter: the peak of a stream's sound in dBFS, as a bar, and for sound without a picture as a
 * wave that wanders to the left.
 */
import { Wave } from "./wave.js";

const FLOOR_DB = -60;
/* The bar falls this many decibels a second, so that short peaks can be seen. */
const FALL_DB = 40;

export class Meter {
	#bar;
	#canvas;
	#wave;
	#context = null;
	#analyser = null;
	#samples = null;
	#frame = 0;
	#db = FLOOR_DB;
	#last = 0;

	/* `bar`: element with role="meter" and one child that is the bar; `canvas`: for the wave. */
	constructor(bar, canvas) {
		this.#bar = bar;
		this.#canvas = canvas;
		this.#wave = new Wave(canvas);
	}

	attach(stream) {
		this.detach();
		if (!stream.getAudioTracks().length) return;
		this.#context = new AudioContext();
		this.#context.resume();
		this.#analyser = this.#context.createAnalyser();
		this.#analyser.fftSize = 2048;
		this.#samples = new Float32Array(this.#analyser.fftSize);
		this.#context.createMediaStreamSource(stream).connect(this.#analyser);
		this.#last = performance.now();
		this.#frame = requestAnimationFrame((now) => this.#turn(now));
	}

	detach() {
		cancelAnimationFrame(this.#frame);
		this.#context?.close();
		this.#context = this.#analyser = null;
		this.#wave.clear();
		this.#show(FLOOR_DB);
	}

	#turn(now) {
		this.#analyser.getFloatTimeDomainData(this.#samples);
		let peak = 0;
		for (const sample of this.#samples) peak = Math.max(peak, Math.abs(sample));
		const db = Math.max(FLOOR_DB, 20 * Math.log10(peak || 1e-6));
		const fallen = this.#db - (FALL_DB * (now - this.#last)) / 1000;
		this.#last = now;
		this.#show(Math.min(0, Math.max(db, fallen, FLOOR_DB)));
		if (!this.#canvas.hidden) this.#wave.push(peak);
		this.#frame = requestAnimationFrame((then) => this.#turn(then));
	}

	#show(db) {
		this.#db = db;
		this.#bar.firstElementChild.style.transform = `scaleX(${1 - db / FLOOR_DB})`;
		this.#bar.setAttribute("aria-valuenow", Math.round(db));
	}
}
