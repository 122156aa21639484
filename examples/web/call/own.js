/*
 * Microphone, camera and screen of oneself in a call.
 *
 * Events: "track" (detail: {source, track or null}), "change" (something to draw), "problem" (detail:
 * text, "" when it is over), "said" (detail: {text, bad}) for what passes.
 */
import { t } from "../base/i18n.js";
import { openCamera, openScreen, openSource, stopStream } from "../media/capture.js";
import { explainDevice } from "../media/errors.js";

/* Each alone: whoever has no microphone can show a camera all the same. */
const OPEN = {
	microphone: (chosen) => openSource("microphone", chosen),
	camera: openCamera,
	screen: () => openScreen(), // a call carries no sound of it, so none is offered
};

const NAMES = { both: "camera", camera: "picture" }; // in media/errors.js

const explain = (error, source) => explainDevice(error, NAMES[source] ?? source);

export class OwnTracks extends EventTarget {
	#devices;
	#tracks = { microphone: null, camera: null, screen: null };
	#streams = { camera: null, screen: null };
	#on = false;

	/* devices: DeviceLists */
	constructor(devices) {
		super();
		this.#devices = devices;
	}

	get speaks() {
		return Boolean(this.#tracks.microphone?.enabled);
	}

	/* The track that is sent, or null. */
	trackOf(source) {
		return this.#tracks[source];
	}

	has(source) {
		return Boolean(this.#tracks[source]);
	}

	/* A stream of "camera" or "screen" to show, the same as long as the track is; or null. */
	streamOf(source) {
		const track = this.#tracks[source];
		const [shown] = this.#streams[source]?.getTracks() ?? [];
		if (shown !== (track ?? undefined)) this.#streams[source] = track ? new MediaStream([track]) : null;
		return this.#streams[source];
	}

	/* Camera and microphone; failing that one of them; failing that one only listens. */
	async openFirst() {
		this.#on = true;
		const problems = [];
		for (const source of ["both", "microphone", "camera"]) {
			try {
				this.#use(await this.#ask(source));
				break;
			} catch (error) {
				problems.push(explain(error, source));
			}
			if (!this.#on) break;
		}
		if (!this.#on) return; // left while the browser asked
		const [both, microphone] = problems;
		if (microphone) this.#say(`${microphone} ${t(this.has("camera") ? "onlySeen" : "onlyListening")}`, true);
		else if (both) this.#say(both, false);
	}

	/* "both": camera and microphone, with one question of the browser. */
	#ask(source) {
		const { chosen } = this.#devices;
		return source === "both" ? openSource("camera", chosen) : OPEN[source](chosen);
	}

	stopAll() {
		this.#on = false;
		for (const source of Object.keys(this.#tracks)) this.stop(source);
	}

	stop(source) {
		const track = this.#tracks[source];
		if (!track) return;
		this.#tracks[source] = null;
		track.stop();
		this.#tell("track", { source, track: null });
		this.#tell("change");
	}

	/* Other devices were chosen while the call runs. */
	async reopen() {
		if (!this.#on) return;
		const sources = !this.has("camera") ? ["microphone"] : this.has("microphone") ? ["both"] : ["both", "camera"];
		for (const source of sources) {
			try {
				this.#use(await this.#ask(source));
				this.#tell("problem", "");
				break;
			} catch (error) {
				this.#tell("problem", explain(error, source));
			}
		}
	}

	/* Muting leaves the track in place, so that it is instant and nothing is negotiated. */
	async toggle(source) {
		const track = this.#tracks[source];
		this.#tell("problem", "");
		if (source === "microphone" && track) track.enabled = !track.enabled;
		else if (track) this.stop(source); // the camera's light goes out, too
		else await this.#open(source);
		this.#tell("change");
	}

	async #open(source) {
		try {
			this.#adopt(source, await this.#ask(source));
		} catch (error) {
			this.#tell("problem", explain(error, source));
		}
	}

	#use(stream) {
		if (!this.#on) return stopStream(stream); // left meanwhile
		const [microphone] = stream.getAudioTracks();
		const [camera] = stream.getVideoTracks();
		if (microphone) this.#set("microphone", microphone);
		if (camera) this.#set("camera", camera);
		this.#devices.show(stream);
	}

	/* Takes the one track that was asked for; a microphone that runs already stays. */
	#adopt(source, stream) {
		const track = source === "microphone" ? stream.getAudioTracks()[0] : stream.getVideoTracks()[0];
		for (const other of stream.getTracks()) if (other !== track) other.stop();
		if (!this.#on) return stopStream(stream);
		this.#set(source, track);
	}

	#set(source, track) {
		const old = this.#tracks[source];
		this.#tracks[source] = track;
		if (source === "microphone" && old) track.enabled = old.enabled;
		old?.stop();
		track.addEventListener("ended", () => this.#lost(source, track));
		this.#tell("track", { source, track });
		this.#tell("change");
	}

	/* A device was unplugged, or taken back: another one may do. */
	async #lost(source, track) {
		if (this.#tracks[source] !== track) return;
		const { enabled } = track;
		this.stop(source);
		if (source === "screen") return; // "Stop sharing" of the browser is not a fault
		try {
			this.#adopt(source, await OPEN[source]());
			if (source === "microphone" && this.has(source)) this.#tracks[source].enabled = enabled;
			this.#say(t("deviceSwitched", { name: this.#tracks[source]?.label || t("defaultDevice") }), false);
		} catch {
			this.#say(t("deviceGone"), true);
		}
		this.#tell("change");
	}

	#say(text, bad) {
		this.#tell("said", { text, bad });
	}

	#tell(type, detail) {
		this.dispatchEvent(new CustomEvent(type, { detail }));
	}
}
