/*
 * Lists of microphones and cameras, kept as the machine has them.
 */
import { t } from "../base/i18n.js";
import { listDevices } from "./capture.js";

/* One <select> of "microphones" or "cameras"; onchange is called when somebody chooses. */
export class DeviceList {
	#select;
	#kind;
	#track = null;

	constructor(select, kind, onchange) {
		this.#select = select;
		this.#kind = kind;
		select.onchange = onchange;
		this.fill = this.fill.bind(this);
		navigator.mediaDevices?.addEventListener?.("devicechange", this.fill);
		document.addEventListener("language", this.fill);
		this.fill();
	}

	/* The chosen id, "" for the default. */
	get chosen() {
		return this.#select.value;
	}

	set disabled(on) {
		this.#select.disabled = on;
	}

	/* Shows what `stream` comes from. Names are known only once there was a permission. */
	show(stream) {
		const tracks = this.#kind === "cameras" ? stream.getVideoTracks() : stream.getAudioTracks();
		this.#track = tracks[0] ?? this.#track;
		return this.fill();
	}

	async fill() {
		const devices = (await listDevices())[this.#kind];
		const live = this.#track?.readyState === "live" && this.#track.getSettings?.().deviceId;
		const current = live || this.#select.value;
		this.#select.replaceChildren(new Option(t("defaultDevice"), ""));
		devices.forEach(({ id, label }, i) => this.#select.add(new Option(label || t("deviceN", { n: i + 1 }), id)));
		this.#select.value = devices.some(({ id }) => id === current) ? current : "";
	}

	close() {
		navigator.mediaDevices?.removeEventListener?.("devicechange", this.fill);
		document.removeEventListener("language", this.fill);
	}
}

/* A pair of them, for what has sound and picture. */
export class DeviceLists {
	#microphones;
	#cameras;

	constructor(microphones, cameras, onchange) {
		this.#microphones = new DeviceList(microphones, "microphones", onchange);
		this.#cameras = new DeviceList(cameras, "cameras", onchange);
	}

	/* {microphone, camera} */
	get chosen() {
		return { microphone: this.#microphones.chosen, camera: this.#cameras.chosen };
	}

	set disabled(on) {
		this.#microphones.disabled = this.#cameras.disabled = on;
	}

	show(stream) {
		return Promise.all([this.#microphones.show(stream), this.#cameras.show(stream)]);
	}

	close() {
		this.#microphones.close();
		this.#cameras.close();
	}
}
