/*
 * The audio panel: a microphone or a file, through a chain of msr-audiod, and back to the ear.
 *
 *   SoundGraph ─ block → AudioClient ⇄ msr-audiod
 *              ← play ─┘    └ level, voice → Levels
 *   ChainView ─ chain → AudioClient
 */
import { label, t } from "../base/i18n.js";
import { ANSWER_WITHIN_MS } from "../base/link.js";
import { recall, remember } from "../base/store.js";
import { $, announce, notice, onPress, problem } from "../base/ui.js";
import { needDevices, openRawMicrophone, stopStream } from "../media/capture.js";
import { DeviceList } from "../media/devices.js";
import { explainDevice, named } from "../media/errors.js";
import { Wave } from "../media/wave.js";
import { ChainView } from "./chain-view.js";
import { AudioClient } from "./client.js";
import { SoundGraph } from "./graph.js";
import { Levels } from "./levels.js";

const DRAW_EVERY_MS = 250;
const BLOCKS_A_BAR = 2;

export class AudioView {
	#base;
	#library;
	#graph = null; // while it runs
	#client = null;
	#asked = null; // token of what the browser was asked for last: a graph, a microphone, a file
	#session = ""; // of the server
	#chainDelay = 0; // seconds
	#buffer = null; // what the playback worklet said last
	#timer = 0;
	#blocks = 0;
	#inPeak = 0; // since the last bar of the wave
	#outPeak = 0;
	#devices = new DeviceList($("sound-mic-list"), "microphones", () => this.#microphoneChanged());
	#chain = new ChainView((chain) => this.#client?.setChain(chain));
	#levels = new Levels();
	#wave = new Wave($("sound-wave"), ["--wave-in", "--wave-out"]);
	#state = "soundOff";

	/* base: address of msr-audiod; library: library.js, which shows what the server recorded of it */
	constructor({ base, library }) {
		this.#base = base;
		this.#library = library;
		onPress("sound-start", () => (this.#graph ? this.stop() : this.start()));
		$("sound-volume").value = recall("volume") ?? "0.8";
		$("sound-volume").oninput = () => this.#listen();
		for (const input of document.querySelectorAll("input[name=listen]")) input.onchange = () => this.#listen();
		for (const input of document.querySelectorAll("input[name=sound-source]"))
			input.onchange = () => this.#sourceChanged();
		$("sound-file").onchange = () => this.#fileChosen();
		$("chain-copy").onclick = () => this.#copy();
		this.redraw = this.redraw.bind(this);
		document.addEventListener("language", this.redraw);
		this.#sourceChanged();
		this.#setState("soundOff");
		this.redraw();
	}

	get source() {
		return document.querySelector("input[name=sound-source]:checked").value;
	}

	get #file() {
		return $("sound-file").files[0] ?? null;
	}

	close() {
		this.stop();
		this.#chain.close();
		this.#devices.close();
		document.removeEventListener("language", this.redraw);
	}

	async start() {
		if (this.#asked) return;
		const asked = (this.#asked = Symbol());
		problem($("sound-error"), "");
		let graph;
		try {
			if (this.source === "file" && !this.#file) return $("sound-file").click();
			if (!globalThis.AudioWorkletNode) throw named(isSecureContext ? "NoWorklet" : "InsecureContext");
			graph = await SoundGraph.open();
			if (await this.#feed(graph, asked)) this.#begin(graph);
			else graph.close();
		} catch (error) {
			graph?.close();
			this.#complain(error, asked);
		} finally {
			if (asked === this.#asked) this.#asked = null;
		}
	}

	stop() {
		this.#asked = null;
		if (!this.#graph) return;
		clearInterval(this.#timer);
		this.#client.close();
		this.#graph.close();
		this.#graph = this.#client = this.#buffer = null;
		// What passed may have been recorded (msr-audiod -o).
		if (this.#session) this.#library.expect(this.#session, () => announce(t("soundRecorded")));
		this.#session = "";
		this.#levels.clear();
		this.#wave.clear();
		this.#setState("soundOff");
		this.redraw();
	}

	/* Gives the graph what the panel says; false where that is not wanted any more when it is there. */
	async #feed(graph, asked) {
		if (asked !== this.#asked) return false;
		if (this.source === "file") {
			const sound = await graph.decode(this.#file);
			if (asked !== this.#asked) return false;
			graph.useFile(sound);
			return true;
		}
		needDevices();
		const stream = await openRawMicrophone(this.#devices.chosen);
		if (asked !== this.#asked) {
			stopStream(stream); // stopped, left, or something else was chosen while the browser asked
			return false;
		}
		graph.useStream(stream);
		this.#devices.show(stream);
		const [track] = stream.getAudioTracks();
		track.addEventListener("ended", () => {
			if (graph !== this.#graph) return;
			this.stop();
			problem($("sound-error"), t("soundLost"));
		});
		return true;
	}

	#begin(graph) {
		const client = new AudioClient(this.#base, { rate: graph.context.sampleRate, chain: this.#chain.chain });
		this.#graph = graph;
		this.#client = client;
		const on = (target, type, handler) => target.addEventListener(type, ({ detail }) =>
			graph === this.#graph && handler(detail));
		on(graph, "block", (block) => this.#send(block));
		on(graph, "buffer", (buffer) => (this.#buffer = buffer));
		on(graph, "fileEnded", () => this.#fileEnded());
		on(client, "sound", (block) => this.#play(block));
		on(client, "state", (state) => this.#clientState(state));
		on(client, "started", ({ session, delay }) => {
			this.#session = session;
			this.#chainDelay = delay;
		});
		on(client, "level", (event) => this.#levels.level(event));
		on(client, "voice", (event) => this.#levels.voice(event));
		on(client, "trouble", ({ code, message }) => problem($("sound-error"),
			code === "too_many_receivers" ? t("audioFull") : t("audioSays", { message: message || code })));
		on(client, "unreachable", () => this.#askWhy());
		this.#clientState("connecting");
		this.#timer = setInterval(() => this.#drawDelay(), DRAW_EVERY_MS);
		this.#listen();
		graph.context.resume();
		this.redraw();
	}

	#send(block) {
		this.#inPeak = Math.max(this.#inPeak, peakOf(block));
		if (++this.#blocks % BLOCKS_A_BAR === 0) {
			this.#levels.input(block);
			this.#wave.push(this.#inPeak, this.#outPeak);
			this.#inPeak = this.#outPeak = 0;
		}
		this.#client.send(block);
	}

	#play(block) {
		this.#outPeak = Math.max(this.#outPeak, peakOf(block));
		this.#graph.play(block);
	}

	#clientState(state) {
		const key = { connecting: "soundConnecting", on: "soundOn", off: "soundReconnecting", refused: "soundRefused" }[state];
		if (state === "on") {
			problem($("sound-error"), "");
			this.#graph.playFile();
		} else {
			this.#graph.flush();
		}
		// The state tells itself where it is shown.
		if (key !== this.#state && $("sound").hidden) announce(t(key));
		this.#setState(key);
	}

	/* Browsers keep to themselves why a WebSocket does not open: alive at all, or is it the origin? */
	async #askWhy() {
		const url = new URL(this.#base, document.baseURI);
		url.protocol = url.protocol.replace(/^ws/, "http");
		url.pathname = `${url.pathname.replace(/\/$/, "")}/health`;
		const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
		const alive = await fetch(url, { mode: "no-cors", cache: "no-store", signal }).then(() => true, () => false);
		if (this.#state === "soundReconnecting")
			problem($("sound-error"), alive ? t("audioOrigin", { origin: location.origin }) : t("audioGone"));
	}

	/* Of what is not wanted any more nobody needs to know. */
	#complain(error, asked) {
		if (asked === this.#asked) problem($("sound-error"), this.#explain(error));
	}

	#explain(error) {
		if (error.name === "NoWorklet") return t("noWorklet");
		if (error.name === "EncodingError") return t("noSound", { name: this.#file?.name });
		return explainDevice(error, "microphone");
	}

	/* One hears oneself only on purpose: a loudspeaker beside a microphone howls. */
	#listen() {
		const volume = Number($("sound-volume").value);
		remember("volume", String(volume));
		this.#graph?.listen(document.querySelector("input[name=listen]:checked").value, volume);
		this.#drawHint();
	}

	#drawHint() {
		const listens = document.querySelector("input[name=listen]:checked").value !== "off";
		label($("sound-hint"), listens && this.source === "microphone" ? "hintHeadphones" : "hintServer");
		$("sound-hint").parentElement.dataset.warn = listens && this.source === "microphone";
	}

	#sourceChanged() {
		const file = this.source === "file";
		$("sound-mic-pick").hidden = file;
		$("sound-file-pick").hidden = !file;
		this.#drawHint();
		this.#chosenAnew();
	}

	#microphoneChanged() {
		if (this.source === "microphone") this.#chosenAnew();
	}

	#chosenAnew() {
		if (this.#graph) return this.#feedAgain();
		if (!this.#asked) return;
		this.stop(); // what was chosen before must not begin
		this.start();
	}

	#fileChosen() {
		this.#drawFile();
		if (!this.#file) return;
		if (this.#graph) this.#feedAgain();
		else this.start();
	}

	async #feedAgain() {
		if (this.source === "file" && !this.#file) return;
		const asked = (this.#asked = Symbol());
		problem($("sound-error"), "");
		try {
			if (await this.#feed(this.#graph, asked) && this.#state === "soundOn") this.#graph.playFile();
		} catch (error) {
			this.#complain(error, asked);
		}
	}

	/* What is still on its way comes first. */
	#fileEnded() {
		const graph = this.#graph;
		setTimeout(() => graph === this.#graph && this.source === "file" && this.stop(), 1000 * (this.#delay() + 0.3));
	}

	/* Seconds from mouth to ear. */
	#delay() {
		return this.#graph.blockDelay + this.#client.roundTrip + this.#chainDelay + this.#buffered() + this.#graph.outputDelay;
	}

	#buffered() {
		return (this.#buffer?.waiting ?? 0) / this.#graph.context.sampleRate;
	}

	#drawDelay() {
		const ms = (seconds) => Math.round(1000 * seconds);
		const parts = {
			block: ms(this.#graph.blockDelay), trip: ms(this.#client.roundTrip), chain: ms(this.#chainDelay),
			buffer: ms(this.#buffered()), device: ms(this.#graph.outputDelay),
		};
		$("sound-delay").textContent = t("ms", { n: ms(this.#delay()) });
		$("sound-delay").dataset.ms = ms(this.#delay());
		$("sound-delay-parts").textContent = t("delayParts", parts);
		const lost = (this.#buffer?.gaps ?? 0) + this.#client.leftOut;
		$("sound-gaps").textContent = lost ? t("soundGaps", { n: lost }) : "";
	}

	async #copy() {
		const text = $("chain-text").textContent;
		try {
			await navigator.clipboard.writeText(text);
			notice(t("copiedText"));
		} catch {
			notice(text, { seconds: 20 }); // no clipboard: to be copied by hand
		}
	}

	#setState(key) {
		this.#state = key;
		label($("sound-state"), key);
		$("sound-state").dataset.state = key;
	}

	redraw() {
		const on = Boolean(this.#graph);
		$("sound").dataset.on = on;
		label($("sound-start-label"), on ? "soundStop" : "soundStart");
		$("sound-start").dataset.on = on; // the name says what a press does: no aria-pressed
		$("sound-idle").hidden = on;
		$("sound-figures").hidden = !on;
		this.#drawFile();
		this.#drawHint();
	}

	#drawFile() {
		$("sound-file-name").textContent = this.#file?.name ?? t("noFile");
	}
}

function peakOf(block) {
	let peak = 0;
	for (const sample of block) peak = Math.max(peak, Math.abs(sample));
	return peak;
}
