/*
 * MediaRecorder with a clock: turns a stream into chunks of a WebM (Safari: MP4) file.
 *
 * Events: "chunk" (detail: Blob), "started", "ended" (after the last chunk; detail: {error?}).
 * `elapsed` is the time of what was recorded, in seconds; pauses do not count.
 */
import { named } from "../media/errors.js";

/* Short, so that little is at stake in the browser; long enough to be cheap. */
const CHUNK_MS = 500;

const TYPES = {
	audio: ["audio/webm;codecs=opus", "audio/ogg;codecs=opus", "audio/mp4"],
	// VP8 first: every browser that has WebM encodes it in real time, also on a small machine.
	video: ["video/webm;codecs=vp8,opus", "video/webm", "video/mp4"],
};
/* The event of the beginning is late by up to this; what comes later has begun late. */
const EVENT_LATE_MS = 1000;
const AUDIO_BITS = 96000;
const VIDEO_BITS = 2500000;

export class Recorder extends EventTarget {
	/* "audio" or "video" */
	media;

	#recorder;
	#since = 0; // performance.now() of the last start or resume; 0: it stands still
	#called = 0; // performance.now() of start()
	#before = 0; // ms recorded before that
	#error;

	constructor(stream) {
		super();
		if (!globalThis.MediaRecorder) throw named("NoRecorder");
		this.media = stream.getVideoTracks().length ? "video" : "audio";
		const mimeType = TYPES[this.media].find((type) => MediaRecorder.isTypeSupported(type));
		this.#recorder = new MediaRecorder(stream, {
			mimeType,
			audioBitsPerSecond: AUDIO_BITS,
			videoBitsPerSecond: VIDEO_BITS,
		});
		this.#recorder.onstart = () => {
			if (this.#recorder.state === "recording") this.#since = this.#began();
			this.#tell("started");
		};
		this.#recorder.ondataavailable = ({ data }) => data.size && this.#tell("chunk", data);
		this.#recorder.onerror = (event) => (this.#error = event.error ?? named("UnknownError"));
		this.#recorder.onstop = () => {
			this.#hold();
			this.#tell("ended", { error: this.#error });
		};
	}

	get elapsed() {
		return (this.#before + (this.#since ? performance.now() - this.#since : 0)) / 1000;
	}

	start() {
		this.#recorder.start(CHUNK_MS);
		this.#called = performance.now();
	}

	stop() {
		this.#hold();
		if (this.#recorder.state !== "inactive") this.#recorder.stop();
	}

	pause() {
		if (this.#recorder.state !== "recording") return;
		this.#recorder.pause();
		this.#hold();
	}

	resume() {
		if (this.#recorder.state !== "paused") return;
		this.#recorder.resume();
		this.#since = performance.now();
	}

	/* What comes from the call on is recorded, unless the browser has yet to wake its devices. */
	#began() {
		const now = performance.now();
		return now - this.#called < EVENT_LATE_MS ? this.#called : now;
	}

	#hold() {
		if (this.#since) this.#before += performance.now() - this.#since;
		this.#since = 0;
	}

	#tell(type, detail) {
		this.dispatchEvent(new CustomEvent(type, { detail }));
	}
}
