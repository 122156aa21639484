/*
 * The call: grid of people, microphone, camera, screen, and what is wrong if something is.
 *
 *   capture.js → Call (call.js) ⇄ msr-sfu
 *                  └ people, speaker, quality → Tiles
 *   Presence (names, who is muted or records) ⇄ text of the room
 */
import { Call } from "./call.js";
import { openScreen, openSource, stopStream } from "./capture.js";
import { DeviceLists } from "./devices.js";
import { explainDevice } from "./errors.js";
import { label, t } from "./i18n.js";
import { Tiles } from "./tiles.js";
import { $, announce, notice, problem } from "./ui.js";

export class CallView {
	#base;
	#room;
	#user;
	#presence;
	#call = null;
	#tiles = new Tiles($("tiles"));
	#devices = new DeviceLists($("call-mic-list"), $("call-cam-list"), () => this.#reopen());
	#tracks = { microphone: null, camera: null, screen: null };
	#state = "callOff";
	#recorded = false; // the server records this call

	/* base: address of msr-sfu; user: this page's id there; presence: presence.js */
	constructor({ base, room, user, presence }) {
		this.#base = base;
		this.#room = room;
		this.#user = user;
		this.#presence = presence;
		$("call-join").onclick = () => (this.#call ? this.leave() : this.join());
		$("call-mic").onclick = () => this.#toggleMicrophone();
		$("call-cam").onclick = () => this.#toggle("camera");
		$("call-screen").onclick = () => this.#toggle("screen");
		this.draw = this.draw.bind(this);
		this.redraw = this.redraw.bind(this);
		presence.addEventListener("change", this.draw);
		document.addEventListener("language", this.redraw);
		this.#setState("callOff");
		this.redraw();
	}

	get isBusy() {
		return Boolean(this.#call);
	}

	close() {
		this.leave();
		this.#devices.close();
		this.#presence.removeEventListener("change", this.draw);
		document.removeEventListener("language", this.redraw);
	}

	async join() {
		problem($("call-error"), "");
		$("call-join").disabled = true;
		try {
			await this.#openFirst();
			this.#call = new Call({ base: this.#base, room: this.#room, user: this.#user });
			this.#listen(this.#call);
			for (const source of ["microphone", "camera"])
				if (this.#tracks[source]) this.#call.publish(source, this.#tracks[source]);
			this.redraw();
			await this.#call.join();
		} catch (error) {
			this.leave();
			problem($("call-error"), explainCall(error));
		} finally {
			$("call-join").disabled = false;
		}
	}

	leave() {
		const call = this.#call;
		this.#call = null;
		call?.leaveNow();
		for (const source of Object.keys(this.#tracks)) this.#stop(source);
		this.#setState("callOff");
		this.#tiles.clear();
		this.redraw();
	}

	/* Camera and microphone; failing that the microphone; failing that one only listens. */
	async #openFirst() {
		const problems = [];
		for (const source of ["camera", "microphone"]) {
			try {
				this.#use(await openSource(source, this.#devices.chosen));
				break;
			} catch (error) {
				problems.push(explainDevice(error, source));
			}
		}
		if (!this.#tracks.microphone) notice(`${problems.pop()} ${t("onlyListening")}`, { kind: "bad", seconds: 15 });
		else if (problems.length) notice(problems[0], { seconds: 12 });
		this.#presence.set({ muted: !this.#tracks.microphone });
	}

	#use(stream) {
		const [microphone] = stream.getAudioTracks();
		const [camera] = stream.getVideoTracks();
		if (microphone) this.#setTrack("microphone", microphone);
		if (camera) this.#setTrack("camera", camera);
		this.#devices.show(stream);
	}

	#setTrack(source, track) {
		const old = this.#tracks[source];
		this.#tracks[source] = track;
		if (source === "microphone" && old) track.enabled = old.enabled;
		old?.stop();
		track.addEventListener("ended", () => {
			if (this.#tracks[source] !== track) return;
			if (source !== "screen") notice(t("deviceEnded"), { kind: "bad" });
			this.#stop(source);
			this.redraw();
		});
		this.#call?.publish(source, track);
	}

	#stop(source) {
		const track = this.#tracks[source];
		if (!track) return;
		this.#tracks[source] = null;
		track.stop();
		this.#call?.publish(source, null);
	}

	/* Other devices were chosen while the call runs. */
	async #reopen() {
		if (!this.#call) return;
		const source = this.#tracks.camera ? "camera" : "microphone";
		try {
			this.#use(await openSource(source, this.#devices.chosen));
			problem($("call-error"), "");
		} catch (error) {
			problem($("call-error"), explainDevice(error, source));
		}
		this.redraw();
	}

	/* Muting leaves the track in place, so that it is instant and nothing is negotiated. */
	async #toggleMicrophone() {
		if (!this.#tracks.microphone) return this.#toggle("microphone");
		this.#tracks.microphone.enabled = !this.#tracks.microphone.enabled;
		this.#presence.set({ muted: !this.#tracks.microphone.enabled });
		this.redraw();
	}

	async #toggle(source) {
		problem($("call-error"), "");
		if (this.#tracks[source]) {
			this.#stop(source); // the camera's light goes out, too
		} else {
			try {
				const stream = source === "screen" ? await openScreen() : await openSource(source, this.#devices.chosen);
				this.#adopt(source, stream);
			} catch (error) {
				problem($("call-error"), explainDevice(error, source));
			}
		}
		this.redraw();
	}

	/* Takes the one track that was asked for; a microphone that runs already stays. */
	#adopt(source, stream) {
		const track = source === "microphone" ? stream.getAudioTracks()[0] : stream.getVideoTracks()[0];
		for (const other of stream.getTracks()) if (other !== track) other.stop();
		if (!this.#call) return stopStream(stream);
		this.#setTrack(source, track);
		if (source === "microphone") this.#presence.set({ muted: false });
	}

	#listen(call) {
		const on = (type, handler) => call.addEventListener(type, ({ detail }) => call === this.#call && handler(detail));
		on("state", (state) => {
			if (state === "connected") problem($("call-error"), "");
			if (state === "ended") this.leave();
			else this.#setState(STATES[state]);
		});
		on("recording", (recorded) => {
			this.#recorded = recorded;
			this.redraw();
		});
		on("people", () => this.draw());
		on("speaker", ({ user }) => this.#tiles.speaker(user));
		on("quality", (figures) => this.#showQuality(figures));
		on("failed", (reason) => problem($("call-error"), explainCall(reason)));
	}

	#showQuality({ mine, users }) {
		const percent = (loss) => (100 * loss).toFixed(1);
		const rtt = Math.round(1000 * mine.rtt);
		this.#tiles.quality(this.#user, mine.level, t("qualityMine", { rtt, loss: percent(mine.loss) }));
		for (const [user, { level, loss }] of users)
			this.#tiles.quality(user, level, t("qualityOther", { loss: percent(loss) }));
	}

	#setState(key) {
		if (this.#state !== key && key !== "callOff") announce(t(key));
		this.#state = key;
		label($("call-state"), key);
		$("call-state").dataset.state = key;
	}

	redraw() {
		const on = Boolean(this.#call);
		$("call-idle").hidden = on;
		$("tiles").hidden = !on;
		$("call-record-light").hidden = !(on && this.#recorded);
		label($("call-join"), on ? "callLeave" : "callJoin");
		$("call-join").classList.toggle("danger", on);
		for (const id of ["call-mic", "call-cam", "call-screen"]) $(id).hidden = !on;
		const speaks = Boolean(this.#tracks.microphone?.enabled);
		press($("call-mic"), speaks, speaks ? "mute" : "unmute");
		press($("call-cam"), Boolean(this.#tracks.camera), this.#tracks.camera ? "cameraOff" : "cameraOn");
		press($("call-screen"), Boolean(this.#tracks.screen), this.#tracks.screen ? "screenOff" : "screenOn");
		label($("call-state"), this.#state);
		this.draw();
	}

	draw() {
		if (!this.#call) return;
		const list = [{ user: this.#user, mine: true, ...this.#own() }, ...this.#call.people()];
		this.#tiles.show(list.flatMap((person) => this.#tilesOf(person))
			.sort((a, b) => Number(b.screen) - Number(a.screen)));
	}

	#own() {
		const { camera, screen } = this.#tracks;
		return { camera: this.#streamFor("camera", camera), screen: this.#streamFor("screen", screen) };
	}

	/* The same stream as long as the track is the same, so that the picture does not flicker. */
	#streams = { camera: null, screen: null };
	#streamFor(source, track) {
		const [shown] = this.#streams[source]?.getTracks() ?? [];
		if (shown !== (track ?? undefined)) this.#streams[source] = track ? new MediaStream([track]) : null;
		return this.#streams[source];
	}

	#tilesOf({ user, mine = false, camera, screen }) {
		const { name, muted, recording } = this.#presence.of(user);
		const tile = { user, name, mine, muted, recording };
		return [
			{ ...tile, key: user, stream: camera, screen: false },
			...(screen ? [{ ...tile, key: `${user}~screen`, stream: screen, screen: true }] : []),
		];
	}
}

const STATES = { connecting: "callConnecting", connected: "callConnected", rejoining: "callRejoining" };

function press(button, on, key) {
	button.setAttribute("aria-pressed", on);
	label(button.querySelector("span"), key);
}

/* A reason of call.js or an SfuError, as a sentence. */
function explainCall({ code, why, message }) {
	switch (code) {
	case "ice":
		return t(`ice_${why}`);
	case "unreachable":
		return t("sfuGone");
	case "replaced":
		return t("takenOver");
	case "ended":
	case "room deleted":
		return t("callEnded");
	case "no_ports":
	case "limit":
		return t("sfuFull");
	case "forbidden_origin":
		return t("sfuOrigin", { origin: location.origin });
	default:
		return t("sfuSays", { message: message || code });
	}
}
