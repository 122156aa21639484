/*
 * One tile of a call: a camera or a shared screen, with its plate (who, muted, recording, how good
 * the connection is) and its tools (pin, menu).
 */
import { t } from "../base/i18n.js";
import { el, icon } from "../base/ui.js";

export class Tile {
	node;
	user;
	screen;
	mine;
	inSight = true;

	#video;
	#initial = el("span", { class: "initial", "aria-hidden": "true" });
	#off = el("span", { class: "off" });
	#name = el("span", { class: "who" });
	#silent = el("span", { class: "silent" });
	#light = el("span", { class: "light" });
	#bars = el("span", { class: "bars", role: "img", "data-level": 0 }, el("i"), el("i"), el("i"));
	#pin;
	#menu;

	/* onPin(), onMenu(button) */
	constructor({ user, mine, screen }, { onPin, onMenu }) {
		Object.assign(this, { user, mine, screen });
		this.#video = el("video", { playsinline: true, autoplay: true });
		this.#video.muted = mine;
		this.#pin = el("button", { type: "button", class: "tool", onclick: onPin }, icon("pin"));
		this.#menu = el("button", { type: "button", class: "tool", "aria-haspopup": "dialog", "aria-expanded": "false",
			onclick: () => onMenu(this.#menu) }, icon("more"));
		this.node = el("li", { class: `tile${mine ? " mine" : ""}${screen ? " screen" : ""}`, "data-user": user,
			tabindex: -1 }, // a tap focuses it, which shows its tools
			el("span", { class: "faceless" }, this.#initial, this.#off), this.#video,
			el("div", { class: "tools" }, this.#pin, this.#menu),
			el("div", { class: "plate" }, this.#light, this.#silent, this.#name, this.#bars));
		this.#video.addEventListener("dblclick", () => this.fillScreen?.());
	}

	/* Shows the picture on the whole screen; null where there is none, or a browser that cannot. */
	get fillScreen() {
		if (!document.fullscreenEnabled || this.node.classList.contains("dark")) return null;
		return () => this.#video.requestFullscreen().catch(() => {});
	}

	/* off: the viewer wants no picture of this one, weak: the network carries none; hushed: no sound. */
	update({ name, stream, muted, recording, pinned, off, weak, hushed }) {
		const video = this.#video;
		if (video.srcObject !== stream) {
			video.srcObject = stream;
			// A browser that wants a press first shows it with the next one.
			if (stream) video.play().catch(() => addEventListener("pointerdown", () => video.play().catch(() => {}), { once: true }));
		}
		if (!this.mine) video.muted = hushed;
		const picture = !off && stream?.getVideoTracks().some((track) => !track.muted && track.readyState === "live");
		this.node.classList.toggle("dark", !picture);
		this.node.classList.toggle("pinned", pinned);
		const label = this.mine ? t("you") : name;
		setText(this.#name, this.screen ? t("screenOf", { name: label }) : label);
		setText(this.#initial, [...(name || "?")][0].toUpperCase());
		setText(this.#off, off ? t("pictureOff") : weak && !picture ? t("pictureWeak") : "");
		this.#showSilent(muted && !this.screen);
		setText(this.#light, recording && !this.screen ? t("rec") : "");
		tool(this.#pin, t(pinned ? "unpin" : "pin", { name: label }));
		this.#pin.dataset.on = pinned; // the name says what a press does: no aria-pressed
		tool(this.#menu, t("tileMenu", { name: label }));
	}

	/* `level` 1 to 3 for the bars, 0 for none; `text` says it in words. */
	quality(level, text) {
		this.#bars.dataset.level = level;
		this.#bars.title = text;
		this.#bars.setAttribute("aria-label", text);
	}

	set speaking(on) {
		this.node.classList.toggle("speaking", on);
	}

	/* Puts it onto the floor. */
	place({ x, y, width, height, large }) {
		const { style } = this.node;
		style.transform = `translate(${Math.round(x)}px, ${Math.round(y)}px)`;
		style.width = `${Math.round(width)}px`;
		style.height = `${Math.round(height)}px`;
		this.node.classList.toggle("large", large);
		this.height = height;
	}

	/* Height in CSS pixels, as it was placed. */
	height = 0;

	remove() {
		this.#video.srcObject = null;
		this.node.remove();
	}

	#showSilent(on) {
		if (Boolean(this.#silent.firstChild) === on) return;
		this.#silent.replaceChildren(...(on ? [icon("mic-off"), el("span", { class: "unseen" }, t("mutedSign"))] : []));
	}
}

function setText(node, text) {
	if (node.textContent !== text) node.textContent = text;
}

function tool(button, text) {
	button.title = text;
	button.setAttribute("aria-label", text);
}
