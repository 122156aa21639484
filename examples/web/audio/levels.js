/*
 * What the chain says of the sound: peak, RMS and loudness as bars and figures, and whether somebody
 * speaks; and beside it the level of what goes in, measured here.
 */
import { label } from "../base/i18n.js";
import { $ } from "../base/ui.js";

const FLOOR_DB = -60;
const BARS = ["peak", "rms", "lufs"];
/* Speech that was just heard stays lit this long, so that it does not flicker. */
const VOICE_MS = 250;
/* Without news for this long the figures are old. */
const OLD_MS = 1500;

/* RMS of samples, in dBFS. */
export function rmsDb(samples) {
	let sum = 0;
	for (const sample of samples) sum += sample * sample;
	return 10 * Math.log10(sum / samples.length || 1e-12);
}

export class Levels {
	#old = 0;
	#voice = 0;

	/* A block that goes in. */
	input(block) {
		bar("in", rmsDb(block));
	}

	/* An event "level". */
	level(event) {
		for (const name of BARS) bar(name, event[name]);
		clearTimeout(this.#old);
		this.#old = setTimeout(() => this.#clearOut(), OLD_MS);
	}

	/* An event "voice". */
	voice({ state }) {
		clearTimeout(this.#voice);
		if (state === "start") this.#say(true);
		else this.#voice = setTimeout(() => this.#say(false), VOICE_MS);
	}

	clear() {
		clearTimeout(this.#voice);
		clearTimeout(this.#old);
		bar("in", -Infinity);
		this.#clearOut();
		this.#say(false);
	}

	#clearOut() {
		for (const name of BARS) bar(name, -Infinity);
	}

	#say(on) {
		$("voice").dataset.on = on;
		label($("voice-text"), on ? "voiceOn" : "voiceOff");
	}
}

function bar(name, db) {
	const known = Number.isFinite(db) && db > -100;
	const shown = known ? Math.min(0, Math.max(FLOOR_DB, db)) : FLOOR_DB;
	const meter = $(`level-${name}`);
	meter.firstElementChild.style.transform = `scaleX(${1 - shown / FLOOR_DB})`;
	meter.setAttribute("aria-valuenow", Math.round(shown));
	$(`figure-${name}`).textContent = known ? db.toFixed(1) : "–";
	$(`figure-${name}`).dataset.db = known ? db : "";
}
