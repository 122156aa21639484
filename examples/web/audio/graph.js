/*
 * The sound of the panel inside the browser:
 *
 *   microphone or file ─┬─→ capture ─ "block" ─→ (msr-audiod) ─→ play() ─→ playback ─┬─→ processed ─┐
 *                       └──────────────────────────────────────────→ original ──────────┴──→ volume ─→ ear
 *
 * Events: "block" (detail: Float32Array), "buffer" (detail: of playback-worklet.js), "fileEnded".
 */

const BLOCK_S = 0.02;
const BUFFER_S = 0.06;
/* The highest rate that every processor takes. */
const RATE_MAX = 48000;
/* Changes of loudness in between, which would click otherwise. */
const FADE_S = 0.02;

export class SoundGraph extends EventTarget {
	context;

	#source = null; // of the sound, a node
	#stream = null; // of the microphone
	#startFile = null; // while a file waits
	#capture;
	#playback;
	#original;
	#processed;
	#volume;

	/* Throws where the browser has no such sound. */
	static async open() {
		let context = new AudioContext({ latencyHint: "interactive" });
		if (context.sampleRate > RATE_MAX) {
			context.close();
			context = new AudioContext({ latencyHint: "interactive", sampleRate: RATE_MAX });
		}
		await Promise.all(["capture", "playback"].map((name) =>
			context.audioWorklet.addModule(new URL(`${name}-worklet.js`, import.meta.url))));
		return new SoundGraph(context);
	}

	/* Of open(). */
	constructor(context) {
		super();
		this.context = context;
		const one = { channelCount: 1, channelCountMode: "explicit", outputChannelCount: [1] };
		this.#capture = new AudioWorkletNode(context, "msr-capture", {
			...one, processorOptions: { samples: Math.round(BLOCK_S * context.sampleRate) },
		});
		this.#playback = new AudioWorkletNode(context, "msr-playback", {
			numberOfInputs: 0, outputChannelCount: [1], processorOptions: { target: BUFFER_S },
		});
		[this.#original, this.#processed, this.#volume] = [0, 0, 1].map((gain) => new GainNode(context, { gain }));
		this.#capture.connect(context.destination);
		this.#playback.connect(this.#processed).connect(this.#volume);
		this.#original.connect(this.#volume).connect(context.destination);
		this.#capture.port.onmessage = ({ data }) => this.#tell("block", data);
		this.#playback.port.onmessage = ({ data }) => this.#tell("buffer", data);
	}

	useStream(stream) {
		this.#drop();
		this.#stream = stream;
		this.#use(this.context.createMediaStreamSource(stream));
	}

	/* The sound of a file, for useFile(); throws where it has none. */
	async decode(file) {
		return this.context.decodeAudioData(await file.arrayBuffer());
	}

	/* Takes the sound of a file, which playFile() begins. */
	useFile(buffer) {
		this.#drop();
		const source = new AudioBufferSourceNode(this.context, { buffer });
		source.onended = () => source === this.#source && this.#tell("fileEnded");
		this.#use(source);
		this.#startFile = () => source.start();
	}

	/* Begins with the file that waits, if one does: nothing of it is to be lost. */
	playFile() {
		this.#startFile?.();
		this.#startFile = null;
	}

	/* Plays what came back. */
	play(block) {
		this.#playback.port.postMessage(block, [block.buffer]);
	}

	/* Forgets what waits to be played. */
	flush() {
		this.#playback.port.postMessage(null);
	}

	/* What is heard: "off", "original" or "processed"; volume 0 to 1. */
	listen(what, volume) {
		const set = (node, gain) => node.gain.setTargetAtTime(gain, this.context.currentTime, FADE_S);
		set(this.#original, what === "original" ? 1 : 0);
		set(this.#processed, what === "processed" ? 1 : 0);
		set(this.#volume, volume);
	}

	/* Seconds from the context to the ear, as far as the browser knows. */
	get outputDelay() {
		return (this.context.outputLatency || 0) + (this.context.baseLatency || 0);
	}

	/* Seconds that a sound waits until its block is full. */
	get blockDelay() {
		return BLOCK_S;
	}

	close() {
		this.#drop();
		return this.context.close();
	}

	#use(source) {
		this.#source = source;
		source.connect(this.#capture);
		source.connect(this.#original);
	}

	#drop() {
		this.#source?.disconnect();
		if (!this.#startFile) this.#source?.stop?.();
		this.#startFile = null;
		this.#source = null;
		for (const track of this.#stream?.getTracks() ?? []) track.stop();
		this.#stream = null;
	}

	#tell(type, detail) {
		this.dispatchEvent(new CustomEvent(type, { detail }));
	}
}
