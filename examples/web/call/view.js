/*
 * The call: the floor with everybody, one's own devices, and what is wrong if something is.
 *
 *   OwnTracks → Call (call.js) ⇄ msr-sfu
 *                 └ people, speaker, layer, quality → Tiles, Figures
 *   Tiles (what is in sight) + choices + data saver → wants.js → Call
 *   Presence (names, who is muted or records) ⇄ text of the room
 */
import { label, t } from "../base/i18n.js";
import { recall, remember } from "../base/store.js";
import { $, announce, clock, notice, onPress, problem, setIcon } from "../base/ui.js";
import { canShareScreen } from "../media/capture.js";
import { DeviceLists } from "../media/devices.js";
import { Call } from "./call.js";
import { Figures } from "./figures.js";
import { OwnTracks } from "./own.js";
import { SCREEN } from "./people.js";
import { explainCall } from "./problems.js";
import { Sfu } from "./sfu.js";
import { TileMenu } from "./tile-menu.js";
import { Tiles } from "./tiles.js";
import { wantsOf } from "./wants.js";

const CLOCK_EVERY_MS = 500;
const ASK_AGAIN_MS = 2000;
const STATES = { connecting: "callConnecting", connected: "callConnected", rejoining: "callRejoining" };
const SOURCES = [
	["microphone", "call-mic", "mic", ["mute", "unmute"]],
	["camera", "call-cam", "cam", ["cameraOff", "cameraOn"]],
	["screen", "call-screen", "screen", ["screenOff", "screenOn"]],
];

export class CallView {
	#base;
	#room;
	#user;
	#presence;
	#library;
	#call = null;
	#joining = null; // token of the join() that waits for devices or the server
	#choices = new Map(); // user → {video, audio}
	#figures = new Figures();
	#menu = new TileMenu(this.#choices, () => this.draw());
	#tiles = new Tiles($("tiles"), (tile, button) => this.#menu.open(tile, button, this.#about(tile)));
	#devices = new DeviceLists($("call-mic-list"), $("call-cam-list"), () => this.#own.reopen());
	#own = new OwnTracks(this.#devices);
	#state = "callOff";
	#recorded = false; // the server records this call
	#since = 0; // performance.now() when the call was connected first
	#clock = 0;
	#asking = null; // token of the newest #warn()
	#askTimer = 0;

	/* base: address of msr-sfu; user: this page's id there; presence: presence.js; library: library.js */
	constructor({ base, room, user, presence, library }) {
		Object.assign(this, { draw: this.draw.bind(this), redraw: this.redraw.bind(this) });
		this.#base = base;
		this.#room = room;
		this.#user = user;
		this.#presence = presence;
		this.#library = library;
		onPress("call-join", () => (this.#call ? this.leave() : this.join()));
		for (const [source, id] of SOURCES) $(id).onclick = () => this.#own.toggle(source);
		$("call-saver").value = recall("saver") ?? "";
		$("call-saver").onchange = () => {
			remember("saver", $("call-saver").value);
			this.draw();
		};
		this.#setMode(recall("mode") === "speaker" ? "speaker" : "grid");
		for (const input of document.querySelectorAll("input[name=call-mode]"))
			input.onchange = () => this.#setMode(input.value);
		this.#listenOwn();
		this.#tiles.addEventListener("sight", () => this.#want());
		presence.addEventListener("change", this.draw);
		document.addEventListener("language", this.redraw);
		this.#setState("callOff");
		this.redraw();
		$("call-will-record").hidden = true; // what the room before showed
		this.#warn();
	}

	/* Says before somebody joins that the call will be recorded; asks until the server answers. */
	async #warn() {
		clearTimeout(this.#askTimer);
		const asking = (this.#asking = Symbol());
		const records = await new Sfu(this.#base, this.#room, this.#user).records()
			.catch((error) => (error.passes ? null : false));
		if (asking !== this.#asking) return; // asked anew, or the room was left
		if (records === null) this.#askTimer = setTimeout(() => this.#warn(), ASK_AGAIN_MS);
		else $("call-will-record").hidden = !records;
	}

	get isBusy() {
		return Boolean(this.#call);
	}

	close() {
		this.leave();
		clearTimeout(this.#askTimer);
		this.#asking = null;
		this.#tiles.close();
		this.#devices.close();
		this.#presence.removeEventListener("change", this.draw);
		document.removeEventListener("language", this.redraw);
	}

	async join() {
		// Not by disabling the button: that would take the keyboard's focus away.
		if (this.#joining) return;
		const joining = (this.#joining = Symbol());
		problem($("call-error"), "");
		this.redraw();
		this.#warn(); // it may record since then
		try {
			await this.#own.openFirst();
			if (joining !== this.#joining) return; // the room was left while the browser asked
			const call = (this.#call = new Call({ base: this.#base, room: this.#room, user: this.#user }));
			this.#listen(call);
			this.#presence.set({ muted: !this.#own.speaks, call: true });
			for (const source of ["microphone", "camera"]) this.#publish(source);
			this.redraw();
			await call.join();
		} catch (error) {
			if (joining !== this.#joining) return;
			this.leave();
			problem($("call-error"), explainCall(error));
		} finally {
			if (joining === this.#joining) this.#joining = null;
		}
	}

	leave() {
		const call = this.#call;
		this.#call = this.#joining = null;
		if (call && this.#recorded && this.#since) this.#library.expectCall(this.#user, t("you"));
		call?.leaveNow();
		this.#own.stopAll();
		this.#setState("callOff");
		this.#setRecorded(false);
		this.#since = 0;
		this.#menu.close();
		this.#figures = new Figures();
		this.#tiles.clear();
		if (call) this.#presence.set({ muted: false, call: false });
		this.redraw();
	}

	#listenOwn() {
		const on = (type, handler) => this.#own.addEventListener(type, ({ detail }) => handler(detail));
		on("track", ({ source }) => this.#publish(source));
		on("change", () => {
			if (this.#call) this.#presence.set({ muted: !this.#own.speaks });
			this.redraw();
		});
		on("problem", (text) => problem($("call-error"), text));
		on("said", ({ text, bad }) => notice(text, { kind: bad ? "bad" : "info", seconds: bad ? 15 : 12 }));
	}

	#publish(source) {
		this.#call?.publish(source, this.#own.trackOf(source));
	}

	#listen(call) {
		const on = (type, handler) => call.addEventListener(type, ({ detail }) => call === this.#call && handler(detail));
		on("state", (state) => {
			if (state === "connected") {
				problem($("call-error"), "");
				this.#since ||= performance.now();
			}
			if (state === "ended") this.leave();
			else this.#setState(STATES[state]);
		});
		on("recording", (recorded) => this.#setRecorded(recorded));
		on("people", () => this.draw());
		on("left", (user) => this.#recorded && this.#library.expectCall(user, this.#presence.of(user).name));
		on("speaker", ({ user }) => this.#tiles.speaker(user));
		on("layer", (layer) => {
			this.#figures.layer(layer);
			this.draw();
		});
		on("quality", (figures) => this.#showQuality(figures));
		on("failed", (reason) => problem($("call-error"), explainCall(reason)));
		on("mended", () => problem($("call-error"), ""));
	}

	#showQuality({ mine, tiles }) {
		for (const [key, figures] of [[this.#user, mine], ...tiles]) {
			this.#figures.set(key, figures);
			this.#tiles.quality(key, figures.level, this.#figures.text(key));
		}
		if (this.#menu.key) this.#menu.show(this.#figures.rows(this.#menu.key));
	}

	/* What the menu of a tile needs. */
	#about({ key, user, mine, screen }) {
		const name = mine ? t("you") : this.#presence.of(user).name;
		return {
			name: screen ? t("screenOf", { name }) : name, canWant: this.#call.canWant,
			figures: this.#figures.rows(key),
		};
	}

	#setMode(mode) {
		document.querySelector(`input[name=call-mode][value=${mode}]`).checked = true;
		remember("mode", mode);
		this.#tiles.mode = mode;
	}

	/* Asks the server for what the tiles show. */
	#want() {
		const saver = $("call-saver").value;
		const soundOnly = saver === "sound";
		this.#call?.want(wantsOf(this.#tiles.sights(), this.#choices, { soundOnly }),
			soundOnly ? null : Number(saver) || null);
	}

	#setRecorded(recorded) {
		if (this.#call && recorded !== this.#recorded) announce(t(recorded ? "callRecorded" : "callRecordedNoMore"));
		this.#recorded = recorded;
		$("call-record-light").hidden = !(this.#call && recorded);
		clearInterval(this.#clock);
		if (recorded) this.#clock = setInterval(() => this.#drawClock(), CLOCK_EVERY_MS);
		this.#drawClock();
	}

	#drawClock() {
		$("call-elapsed").textContent = clock(this.#since ? (performance.now() - this.#since) / 1000 : 0);
	}

	#setState(key) {
		// The state tells itself where it is shown.
		if (this.#state !== key && key !== "callOff" && $("call").hidden) announce(t(key));
		this.#state = key;
		label($("call-state"), key);
		$("call-state").dataset.state = key;
	}

	redraw() {
		const on = Boolean(this.#call);
		$("call").dataset.on = on;
		$("call-idle").hidden = on;
		$("tiles").hidden = !on;
		$("call-view-choices").hidden = !on;
		label($("call-join-label"), on ? "callLeave" : "callJoin");
		$("call-join").classList.toggle("danger", on);
		$("call-join").setAttribute("aria-disabled", Boolean(this.#joining) && !on);
		for (const [source, id, picture, [off, back]] of SOURCES) {
			const active = source === "microphone" ? this.#own.speaks : this.#own.has(source);
			$(id).hidden = !on || (source === "screen" && !canShareScreen());
			$(id).dataset.on = active; // the name says what a press does: no aria-pressed
			label($(id).querySelector("span"), active ? off : back);
			setIcon($(id).querySelector("svg"), active || source === "screen" ? picture : `${picture}-off`);
		}
		label($("call-state"), this.#state);
		this.#drawIdle();
		this.draw();
	}

	/* Who is there, for somebody who is not. */
	#drawIdle() {
		const names = this.#presence.inCall();
		$("call-there").textContent = names.length ? t("callThere", { names: names.join(", ") }) : t("callIdle");
	}

	draw() {
		if (!this.#call) return this.#drawIdle();
		const own = { user: this.#user, mine: true, camera: this.#own.streamOf("camera"), screen: this.#own.streamOf("screen") };
		const people = this.#call.people();
		this.#figures.keepLayers(pictured(people));
		this.#tiles.show([own, ...people].flatMap((person) => this.#tilesOf(person)));
		this.#want();
	}

	#tilesOf({ user, mine = false, camera, screen }) {
		const { name, muted, recording } = this.#presence.of(user);
		const { video = "auto", audio = "on" } = this.#choices.get(user) ?? {};
		const off = !mine && (video === "off" || $("call-saver").value === "sound");
		const tile = { user, name, mine, muted, recording, off, hushed: audio === "off" };
		return [
			...(screen ? [this.#tile(tile, user + SCREEN, screen, true)] : []),
			this.#tile(tile, user, camera, false),
		];
	}

	#tile(person, key, stream, screen) {
		return { ...person, key, stream, screen, weak: this.#figures.isWeak(key) };
	}
}

/* Keys of the tiles that the server sends a picture for, though it may pause. */
function pictured(people) {
	const keys = people.flatMap(({ user, camera, screen }) => [[user, camera], [user + SCREEN, screen]])
		.filter(([, stream]) => stream?.getVideoTracks().length).map(([key]) => key);
	return new Set(keys);
}
