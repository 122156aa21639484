/*
 * Who is in the room: a row of round initials above the text. A press starts a message to that person.
 */
import { t } from "../base/i18n.js";
import { $, el } from "../base/ui.js";
import { hueOf } from "./line.js";

const SHOWN_MAX = 8;

export class PeopleRow {
	#presence;
	#me;
	#onPick;

	/* onPick(name) */
	constructor(presence, me, onPick) {
		this.#presence = presence;
		this.#me = me;
		this.#onPick = onPick;
		this.draw = this.draw.bind(this);
		presence.addEventListener("change", this.draw);
		document.addEventListener("language", this.draw);
		this.draw();
	}

	close() {
		this.#presence.removeEventListener("change", this.draw);
		document.removeEventListener("language", this.draw);
	}

	draw() {
		const names = this.#presence.names();
		const inCall = new Set(this.#presence.inCall());
		const more = names.length - SHOWN_MAX;
		const people = names.slice(0, SHOWN_MAX).map((name) => el("li", {}, el("button", {
			type: "button", class: `face${inCall.has(name) ? " calls" : ""}`, "data-hue": hueOf(name), title: name,
			"aria-label": t("writeTo", { name }), onclick: () => this.#onPick(name),
		}, initial(name))));
		const me = el("li", {}, el("span", { class: "face me", "data-hue": hueOf(this.#me), title: t("you") },
			initial(this.#me), el("span", { class: "unseen" }, t("you"))));
		$("chat-people").replaceChildren(me, ...people,
			...(more > 0 ? [el("li", { class: "muted", title: names.slice(SHOWN_MAX).join(", ") }, `+${more}`)] : []));
		$("chat-alone").hidden = names.length > 0;
	}
}

const initial = (name) => ([...name.trim()][0] ?? "?").toUpperCase();
