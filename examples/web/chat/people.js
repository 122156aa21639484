/*
 * Who is in the room: a row of round initials above the text. A press starts a message to that person.
 * Nobody's place moves while they are there: a press or the keyboard's focus on it would be lost.
 */
import { t } from "../base/i18n.js";
import { $, el } from "../base/ui.js";
import { hueOf } from "./line.js";

const SHOWN_MAX = 8;

export class PeopleRow {
	#presence;
	#me;
	#onPick;
	#places = new Map(); // name → <li>

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
		const people = names.slice(0, SHOWN_MAX).map((name) => this.#place(name, inCall.has(name)));
		this.#places = new Map(people.map((place) => [place.firstChild.title, place]));
		const me = el("li", {}, el("span", { class: "face me", "data-hue": hueOf(this.#me), title: t("you") },
			initial(this.#me), el("span", { class: "unseen" }, t("you"))));
		arrange($("chat-people"), [me, ...people,
			...(more > 0 ? [el("li", { class: "muted", title: names.slice(SHOWN_MAX).join(", ") }, `+${more}`)] : [])]);
		$("chat-alone").hidden = names.length > 0;
	}

	#place(name, calls) {
		const place = this.#places.get(name) ?? el("li", {}, el("button", {
			type: "button", class: "face", "data-hue": hueOf(name), title: name, onclick: () => this.#onPick(name),
		}, initial(name)));
		place.firstChild.classList.toggle("calls", calls);
		place.firstChild.setAttribute("aria-label", t("writeTo", { name }));
		return place;
	}
}

/* Gives `list` these children; those that stay are not taken out for it. */
function arrange(list, children) {
	for (const old of [...list.children]) if (!children.includes(old)) old.remove();
	children.forEach((child, i) => list.children[i] !== child && list.insertBefore(child, list.children[i] ?? null));
}

const initial = (name) => ([...name.trim()][0] ?? "?").toUpperCase();
