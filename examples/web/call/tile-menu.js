/*
 * What one can choose for one person of the call, and the figures of the connection: a popover
 * beside the button of the tile.
 */
import { t } from "../base/i18n.js";
import { $, el } from "../base/ui.js";

const QUALITIES = ["auto", "high", "mid", "low", "off"];
const GAP_PX = 8;

export class TileMenu {
	#box = $("tile-menu");
	#choices;
	#onChange;
	#tile = null; // {key, user, mine, screen, fillScreen} while open
	#figures = null; // <dl> while open
	#button = null; // which opened it last

	/* choices: Map of user → {video, audio}, which is changed here; onChange() follows. */
	constructor(choices, onChange) {
		this.#choices = choices;
		this.#onChange = onChange;
		this.#box.ontoggle = ({ newState }) => {
			if (newState === "open") return;
			this.#tile = null;
			this.#button?.setAttribute("aria-expanded", false);
		};
	}

	/* `name` as people read it; canWant: whether the server takes wishes. */
	open(tile, button, { name, canWant, figures }) {
		this.#button?.setAttribute("aria-expanded", false); // of a tile whose menu this one replaces
		this.#button = button;
		this.#tile = tile;
		this.#figures = el("dl", { class: "figures" });
		const choice = this.#choices.get(tile.user) ?? { video: "auto", audio: "on" };
		this.#box.setAttribute("aria-label", name);
		this.#box.replaceChildren(el("strong", {}, name), ...(tile.mine ? [] : [
			this.#qualities(choice, canWant), this.#sound(choice)]),
		...(tile.fillScreen ? [this.#fullScreen(tile)] : []), this.#figures);
		this.show(figures);
		this.#box.showPopover({ source: button });
		button.setAttribute("aria-expanded", true);
		this.#place(button);
		// The browser gives the focus back to the button when it closes.
		(this.#box.querySelector("input:checked, button") ?? this.#box).focus();
	}

	close() {
		if (this.#tile) this.#box.hidePopover();
	}

	/* The key of the tile that it is open for, or null. */
	get key() {
		return this.#tile?.key ?? null;
	}

	/* figures: [[what, figure as text]] */
	show(figures) {
		this.#figures?.replaceChildren(...figures.map(([what, figure]) =>
			el("div", {}, el("dt", {}, what), el("dd", {}, figure))));
	}

	#qualities({ video }, canWant) {
		return el("fieldset", { class: "choices" }, el("legend", {}, t("pictureQuality")),
			...QUALITIES.filter((one) => canWant || ["auto", "off"].includes(one)).map((one) => el("label", {},
				el("input", { type: "radio", name: "tile-quality", value: one, checked: one === video,
					onchange: () => this.#choose({ video: one }) }), el("span", {}, t(`quality_${one}`)))));
	}

	#sound({ audio }) {
		return el("label", { class: "switch" }, el("input", { type: "checkbox", checked: audio === "on",
			onchange: ({ target }) => this.#choose({ audio: target.checked ? "on" : "off" }) }),
		el("span", {}, t("hearPerson")));
	}

	#fullScreen({ fillScreen }) {
		return el("button", { type: "button", onclick: () => {
			this.close();
			fillScreen();
		} }, t("fullScreen"));
	}

	#choose(what) {
		const { user } = this.#tile;
		this.#choices.set(user, { video: "auto", audio: "on", ...this.#choices.get(user), ...what });
		this.#onChange();
	}

	/* Below the button where there is space, else above; within the window. */
	#place(button) {
		const at = button.getBoundingClientRect();
		const { offsetWidth: width, offsetHeight: height } = this.#box;
		const below = at.bottom + GAP_PX + height <= innerHeight;
		const x = Math.min(Math.max(GAP_PX, at.right - width), innerWidth - width - GAP_PX);
		const y = below ? at.bottom + GAP_PX : Math.max(GAP_PX, at.top - height - GAP_PX);
		this.#box.style.left = `${x}px`;
		this.#box.style.top = `${y}px`;
	}
}
