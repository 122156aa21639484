/*
 * The recorder: source and devices, preview and level, the big button, and what became of the
 * recording.
 *
 *   openSource → preview, Meter
 *              → Recorder → Upload → msr-ws … finished → Library
 */
import { label, t } from "../base/i18n.js";
import { sessionId } from "../base/ids.js";
import { $, announce, bytes, clock, notice, onPress, problem } from "../base/ui.js";
import { canShareScreen, openSource, stopStream } from "../media/capture.js";
import { DeviceLists } from "../media/devices.js";
import { explainDevice } from "../media/errors.js";
import { Meter } from "../media/meter.js";
import { Recorder } from "./recorder.js";
import { Upload } from "./upload.js";

const CLOCK_EVERY_MS = 200;

export class RecordView {
	#room;
	#name;
	#library;
	#resumeWindow;
	#onChange;
	#devices = new DeviceLists($("mic-list"), $("cam-list"), () => this.open());
	#stream = null;
	#opening = null; // promise while a device is being asked for
	#meter = new Meter($("meter"), $("preview-wave"));
	#starting = false;
	#recorder = null; // while one records
	#last = null; // that one, or the one before
	#upload = null; // of the last recording
	#uploads = new Set(); // all that are not over yet
	#state = null; // string key and values, drawn again when the language changes
	#timer = 0;
	#closed = false; // what is still being sent shows only notices: the panel is the next room's

	/* onChange(recording) is told when a recording begins and ends. */
	constructor({ room, name, library, resumeWindow, onChange }) {
		this.#room = room;
		this.#name = name;
		this.#library = library;
		this.#resumeWindow = resumeWindow;
		this.#onChange = onChange;
		$("turn-on").onclick = () => this.open();
		onPress("rec", () => (this.#recorder ? this.stop() : this.record()));
		$("sources").onchange = () => this.#sourceChanged();
		document.querySelector("input[name=source][value=screen]").parentNode.hidden = !canShareScreen();
		this.redraw = this.redraw.bind(this);
		document.addEventListener("language", this.redraw);
		this.#sourceChanged();
		this.#drawRecording();
	}

	/* Something would be lost if the page went away now. */
	get isBusy() {
		return Boolean(this.#recorder) || [...this.#uploads].some((upload) => upload.waiting > 0);
	}

	get source() {
		return document.querySelector("input[name=source]:checked").value;
	}

	close() {
		this.stop();
		this.turnOff();
		this.#devices.close();
		document.removeEventListener("language", this.redraw);
		this.#closed = true;
	}

	/* Asks for the chosen devices and shows them; true when they are there. */
	async open() {
		problem($("rec-error"), "");
		const source = this.source;
		const asked = openSource(source, this.#devices.chosen);
		this.#opening = asked;
		try {
			const stream = await asked;
			if (this.#opening !== asked) {
				stopStream(stream); // something else was chosen meanwhile
				return false;
			}
			this.#show(stream);
			await this.#devices.show(stream);
			return true;
		} catch (error) {
			if (this.#opening === asked) {
				this.turnOff();
				problem($("rec-error"), explainDevice(error, source));
			}
			return false;
		} finally {
			if (this.#opening === asked) this.#opening = null;
		}
	}

	turnOff() {
		this.#opening = null;
		this.#meter.detach();
		stopStream(this.#stream);
		this.#stream = null;
		$("preview-video").srcObject = null;
		this.#drawPreview();
	}

	async record() {
		// Not by disabling the button: that would take the keyboard's focus away.
		if (this.#starting) return;
		this.#starting = true;
		try {
			if (!this.#stream && !(await this.open())) return;
			this.#begin(this.#stream);
		} catch (error) {
			problem($("rec-error"), explainDevice(error, this.source));
		} finally {
			this.#starting = false;
		}
	}

	stop() {
		this.#recorder?.stop();
	}

	#begin(stream) {
		problem($("rec-error"), "");
		const recorder = new Recorder(stream);
		const name = sessionId(this.#name);
		const upload = new Upload({
			room: this.#room, name, media: recorder.media, resumeWindow: this.#resumeWindow,
		});
		this.#recorder = this.#last = recorder;
		this.#upload = upload;
		this.#uploads.add(upload);
		recorder.addEventListener("chunk", ({ detail }) => upload.push(detail));
		recorder.addEventListener("started", () => announce(t("recordingStarted")));
		recorder.addEventListener("ended", ({ detail }) => this.#ended(recorder, upload, detail.error));
		this.#listen(upload, recorder);
		try {
			recorder.start();
		} catch (error) {
			this.#recorder = null;
			this.#uploads.delete(upload);
			upload.abandon();
			throw error;
		}
		this.#timer = setInterval(() => this.#drawClock(), CLOCK_EVERY_MS);
		this.#drawRecording();
	}

	#listen(upload, recorder) {
		const on = (type, handler) => upload.addEventListener(type, ({ detail }) => handler(detail));
		const mine = (handler) => (detail) => upload === this.#upload && handler(detail);
		let gone = ""; // the complaint that the server does not answer
		on("progress", mine(() => this.#drawFigures()));
		on("state", mine((state) => this.#setState(STATES[state])));
		on("state", (state) => {
			if (!gone || !ANSWERED.includes(state)) return;
			if ($("rec-error").textContent === gone) this.#complain("");
			gone = "";
		});
		on("full", () => recorder.pause());
		on("room", () => recorder.resume());
		on("piece", (name) => {
			notice(t("newPiece", { name }), { seconds: 15 });
			this.#drawFigures();
		});
		on("trouble", ({ message, code }) => this.#complain(t("serverSays", { message: message ?? code })));
		on("unreachable", (why) => {
			gone = why === "gone" ? t("serverGone") : t("serverRefuses", { why: why || t("unknownReason") });
			this.#complain(gone);
		});
		on("failed", (reason) => {
			this.#uploads.delete(upload);
			recorder.stop();
			if (upload === this.#upload) this.#setState("stateFailed");
			this.#complain(t({ taken: "takenOver", broken: "brokenPiece", closed: "serverGone" }[reason]));
		});
		on("done", () => {
			this.#uploads.delete(upload);
			if (upload === this.#upload) this.#setState(upload.acked ? "stateDone" : "stateEmpty");
			if (!upload.acked) return;
			for (const session of upload.sessions)
				this.#library.expect(session, () => upload === this.#upload && !this.#recorder
					&& this.#setState("stateReady"));
		});
	}

	#ended(recorder, upload, error) {
		if (recorder === this.#recorder) {
			this.#recorder = null;
			clearInterval(this.#timer);
		}
		announce(t("recordingStopped"));
		if (error) this.#complain(t("recorderBroke", { message: error.message }));
		if (!upload.isOver) upload.finish();
		this.#drawRecording();
	}

	#sourceChanged() {
		$("cam-pick").hidden = this.source !== "camera";
		const wasOn = Boolean(this.#stream || this.#opening);
		this.turnOff();
		problem($("rec-error"), "");
		if (wasOn) this.open();
	}

	#show(stream) {
		if (this.#stream) stopStream(this.#stream);
		this.#stream = stream;
		for (const track of stream.getTracks())
			track.addEventListener("ended", () => {
				if (stream !== this.#stream) return;
				// "Stop sharing" of the browser is not a fault; a lost microphone is.
				if (this.#recorder && this.source !== "screen") notice(t("deviceEnded"), { kind: "bad" });
				this.stop();
				this.turnOff();
			});
		const video = $("preview-video");
		video.srcObject = stream;
		video.play().catch(() => {}); // the browser shows its own control then
		this.#drawPreview();
		this.#meter.attach(stream);
	}

	redraw() {
		this.#drawFigures();
		this.#setState(this.#state);
	}

	#drawPreview() {
		const on = Boolean(this.#stream);
		const picture = on && this.#stream.getVideoTracks().length > 0;
		$("preview").dataset.state = !on ? "off" : picture ? "picture" : "sound";
		$("preview").dataset.source = this.source;
		$("preview-off").hidden = on;
		$("preview-video").hidden = !picture;
		$("preview-wave").hidden = !on || picture;
	}

	/* Says what is wrong with a recording; "" takes it back. */
	#complain(text) {
		if (!this.#closed) problem($("rec-error"), text);
		else if (text) notice(text, { kind: "bad" });
	}

	#drawRecording() {
		if (this.#closed) return;
		const on = Boolean(this.#recorder);
		this.#onChange(on);
		$("rec").dataset.on = on; // the name says what a press does: no aria-pressed
		label($("rec-label"), on ? "stopRecording" : "startRecording");
		$("rec-badge").hidden = !on;
		$("rec-facts").hidden = !this.#upload;
		$("sources").disabled = this.#devices.disabled = on;
		this.#drawClock();
		this.#drawFigures();
	}

	#drawClock() {
		if (this.#closed) return;
		const seconds = this.#last?.elapsed ?? 0;
		for (const id of ["elapsed", "rec-length"]) $(id).textContent = clock(seconds);
		$("elapsed").dataset.seconds = seconds.toFixed(3);
	}

	#drawFigures() {
		if (!this.#upload || this.#closed) return;
		$("rec-acked").textContent = bytes(this.#upload.acked);
		$("rec-acked").dataset.bytes = this.#upload.acked;
		$("rec-waiting").textContent = bytes(this.#upload.waiting);
		$("rec-waiting").dataset.bytes = this.#upload.waiting;
		$("rec-name").textContent = this.#upload.session;
	}

	#setState(key) {
		if (!key || this.#closed) return;
		this.#state = key;
		$("rec-state").dataset.state = key;
		const text = t(key, { bytes: bytes(this.#upload.waiting) });
		// Screen readers say each change of this: only real ones.
		if ($("rec-state").textContent !== text) $("rec-state").textContent = text;
	}
}

const STATES = {
	sending: "stateSending",
	offline: "stateOffline",
	paused: "statePaused",
	full: "stateFull",
	finishing: "stateFinishing",
};

/* States of an upload whose server answers; one that is full may have lost it. */
const ANSWERED = ["sending", "paused", "finishing"];
