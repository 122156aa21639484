/*
 * On the sound's own thread: plays blocks as they are posted, through a small jitter buffer.
 *
 * Sound begins once `target` samples wait. When they run out there is silence until that many wait
 * again, and the target grows; after a quiet while it shrinks back. More than twice the target (the
 * other clock is faster, or a hiccup is over) is left out, the oldest first.
 *
 * Posts {waiting, target (samples), gaps, leftOut} a few times a second.
 */
const TELL_EVERY_S = 0.25;
const SHRINK_AFTER_S = 15;
const GROW_S = 0.02;
const TARGET_MAX_S = 0.3;

class Playback extends AudioWorkletProcessor {
	#blocks = [];
	#at = 0; // place in #blocks[0]
	#waiting = 0; // samples
	#least; // samples: the target never goes below
	#target;
	#playing = false;
	#gaps = 0;
	#leftOut = 0;
	#told = 0; // currentTime
	#calm = 0; // currentTime of the last gap or change of the target

	/* processorOptions: {target: seconds} */
	constructor({ processorOptions: { target } }) {
		super();
		this.#least = this.#target = Math.round(target * sampleRate);
		this.port.onmessage = ({ data }) => (data === null ? this.#clear() : this.#take(data));
	}

	#clear() {
		this.#blocks = [];
		this.#at = this.#waiting = 0;
		this.#playing = false;
	}

	#take(block) {
		this.#blocks.push(block);
		this.#waiting += block.length;
		while (this.#waiting > 2 * this.#target && this.#blocks.length > 1) {
			const gone = this.#blocks.shift().length - this.#at;
			this.#at = 0;
			this.#waiting -= gone;
			this.#leftOut += gone;
		}
		if (this.#waiting >= this.#target) this.#playing = true;
	}

	process(_, [[out]]) {
		if (this.#playing && this.#waiting < out.length) this.#ranOut();
		if (this.#playing) this.#fill(out);
		if (this.#target > this.#least && currentTime - this.#calm > SHRINK_AFTER_S) this.#aim(-GROW_S);
		if (currentTime - this.#told >= TELL_EVERY_S) this.#tell();
		return true;
	}

	#fill(out) {
		for (let done = 0; done < out.length;) {
			const [block] = this.#blocks;
			const n = Math.min(out.length - done, block.length - this.#at);
			out.set(block.subarray(this.#at, this.#at + n), done);
			done += n;
			this.#at += n;
			if (this.#at === block.length) {
				this.#blocks.shift();
				this.#at = 0;
			}
		}
		this.#waiting -= out.length;
	}

	#ranOut() {
		this.#playing = false;
		this.#gaps++;
		this.#aim(GROW_S);
	}

	#aim(seconds) {
		const most = TARGET_MAX_S * sampleRate;
		this.#target = Math.min(most, Math.max(this.#least, this.#target + Math.round(seconds * sampleRate)));
		this.#calm = currentTime;
	}

	#tell() {
		this.#told = currentTime;
		this.port.postMessage({
			waiting: this.#waiting, target: this.#target, gaps: this.#gaps, leftOut: this.#leftOut,
		});
	}
}

registerProcessor("msr-playback", Playback);
