/*
 * A pair of lists of microphones and cameras, kept as the machine has them.
 */
import { listDevices } from "./capture.js";
import { t } from "./i18n.js";

export class DeviceLists {
	#microphones;
	#cameras;
	#stream = null;

	/* Two <select>; onchange is called when somebody chooses. */
	constructor(microphones, cameras, onchange) {
		this.#microphones = microphones;
		this.#cameras = cameras;
		microphones.onchange = cameras.onchange = onchange;
		this.fill = this.fill.bind(this);
		navigator.mediaDevices?.addEventListener?.("devicechange", this.fill);
		document.addEventListener("language", this.fill);
		this.fill();
	}

	/* The chosen ids, "" for the default: {microphone, camera}. */
	get chosen() {
		return { microphone: this.#microphones.value, camera: this.#cameras.value };
	}

	set disabled(on) {
		this.#microphones.disabled = this.#cameras.disabled = on;
	}

	/* Shows what `stream` comes from. Names are known only once there was a permission. */
	show(stream) {
		this.#stream = stream;
		return this.fill();
	}

	async fill() {
		const { microphones, cameras } = await listDevices();
		fillOne(this.#microphones, microphones, this.#stream?.getAudioTracks()[0]);
		fillOne(this.#cameras, cameras, this.#stream?.getVideoTracks()[0]);
	}

	close() {
		navigator.mediaDevices?.removeEventListener?.("devicechange", this.fill);
		document.removeEventListener("language", this.fill);
	}
}

function fillOne(select, devices, track) {
	const current = track?.getSettings?.().deviceId ?? select.value;
	select.replaceChildren(new Option(t("defaultDevice"), ""));
	devices.forEach(({ id, label }, i) => select.add(new Option(label || t("deviceN", { n: i + 1 }), id)));
	select.value = devices.some(({ id }) => id === current) ? current : "";
}
