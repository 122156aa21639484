/*
 * "@name" at the beginning of a message: says to whom it goes, and offers the names while one types.
 * A combobox after the pattern of WAI-ARIA: arrows choose, Tab or Enter takes, Escape closes.
 */
import { el } from "../base/ui.js";
import { hueOf } from "./line.js";

const OFFERED_MAX = 6;

/*
 * {to, text} of what somebody typed; `to` only where it is one of `names`, of which the longest counts,
 * and of two that differ only in their case the first.
 */
export function addressed(text, names) {
	if (!text.startsWith("@")) return { text };
	const lower = text.slice(1).toLowerCase();
	const to = names
		.filter((name) => lower === name.toLowerCase() || lower.startsWith(`${name.toLowerCase()} `))
		.sort((a, b) => b.length - a.length)[0];
	return to ? { to, text: text.slice(1 + to.length).trim() } : { text };
}

export class NameOffer {
	#input;
	#list;
	#names;
	#chosen = 0;

	/* names() → names that can be written to */
	constructor(input, list, names) {
		this.#input = input;
		this.#list = list;
		this.#names = names;
		input.oninput = () => this.#draw();
		input.onkeydown = (event) => this.#key(event);
		input.onblur = () => this.#close();
	}

	/* Begins a message to `name`. */
	address(name) {
		this.#input.value = `@${name} ${addressed(this.#input.value, this.#names()).text.replace(/^@\S*\s*/, "")}`;
		this.#close();
		this.#input.focus();
	}

	get #offered() {
		const typed = this.#input.value.match(/^@([^@]*)$/)?.[1].toLowerCase();
		if (typed === undefined) return [];
		return this.#names().filter((name) => name.toLowerCase().startsWith(typed)).slice(0, OFFERED_MAX);
	}

	#draw() {
		const offered = this.#offered;
		this.#chosen = Math.min(this.#chosen, Math.max(0, offered.length - 1));
		this.#list.hidden = !offered.length;
		this.#input.setAttribute("aria-expanded", offered.length > 0);
		this.#list.replaceChildren(...offered.map((name, i) => el("li", {
			id: `offer-${i}`, role: "option", "aria-selected": String(i === this.#chosen), "data-hue": hueOf(name),
			// Before the field loses the focus.
			onmousedown: (event) => (event.preventDefault(), this.address(name)),
		}, name)));
		if (offered.length) this.#input.setAttribute("aria-activedescendant", `offer-${this.#chosen}`);
		else this.#input.removeAttribute("aria-activedescendant");
	}

	#key(event) {
		const offered = this.#list.hidden ? [] : this.#offered;
		if (!offered.length) return;
		const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
		if (step) this.#chosen = (this.#chosen + step + offered.length) % offered.length;
		else if (["Tab", "Enter"].includes(event.key)) this.address(offered[this.#chosen]);
		else if (event.key === "Escape") this.#close();
		else return;
		event.preventDefault();
		if (step) this.#draw();
	}

	#close() {
		this.#list.hidden = true;
		this.#input.setAttribute("aria-expanded", false);
	}
}
