/*
 * On the sound's own thread: collects what comes in (one channel) into blocks and posts them.
 * Gives out silence, so that it may be connected to the destination, which keeps it running.
 */
class Capture extends AudioWorkletProcessor {
	#block;
	#filled = 0;

	/* processorOptions: {samples} of a block */
	constructor({ processorOptions: { samples } }) {
		super();
		this.#block = new Float32Array(samples);
	}

	process([[input]]) {
		const quantum = input ?? new Float32Array(128); // nothing is connected: silence
		for (let at = 0; at < quantum.length;) {
			const n = Math.min(quantum.length - at, this.#block.length - this.#filled);
			this.#block.set(quantum.subarray(at, at + n), this.#filled);
			this.#filled += n;
			at += n;
			if (this.#filled === this.#block.length) this.#post();
		}
		return true;
	}

	#post() {
		const full = this.#block;
		this.#block = new Float32Array(full.length);
		this.#filled = 0;
		this.port.postMessage(full, [full.buffer]);
	}
}

registerProcessor("msr-capture", Capture);
