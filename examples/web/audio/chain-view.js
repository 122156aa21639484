/*
 * The chain as a list that one puts together: which processors, in which order, set how.
 */
import { t } from "../base/i18n.js";
import { recall, remember } from "../base/store.js";
import { $, announce, el, icon } from "../base/ui.js";
import { PRESETS, chainOf, chainText, parseList, presetList, processor } from "./processors.js";

/* Of a hand that is still on a slider. */
const SETTLE_MS = 500;

export class ChainView {
	#list = parseList(recall("chain")) ?? presetList(PRESETS.voice);
	#onChange;
	#timer = 0;

	/* onChange(chain) once nobody turns at it any more. */
	constructor(onChange) {
		this.#onChange = onChange;
		$("chain-preset").onchange = ({ target }) => {
			if (!PRESETS[target.value]) return;
			this.#list = presetList(PRESETS[target.value]);
			this.draw();
			this.#changed();
		};
		this.draw = this.draw.bind(this);
		document.addEventListener("language", this.draw);
		this.draw();
	}

	get chain() {
		return chainOf(this.#list);
	}

	/* Whether the chain tells levels, and speech. */
	has(name) {
		return this.#list.some((one) => one.name === name && one.on);
	}

	close() {
		clearTimeout(this.#timer);
		document.removeEventListener("language", this.draw);
	}

	draw() {
		$("chain").replaceChildren(...this.#list.map((one, i) => this.#row(one, i)));
		this.#drawText();
	}

	#drawText() {
		$("chain-text").textContent = `msr-audiod filter ${chainText(this.#list)}`;
		const same = Object.keys(PRESETS).find((name) =>
			chainText(presetList(PRESETS[name])) === chainText(this.#list));
		$("chain-preset").value = same ?? "own";
	}

	#row(one, i) {
		const { name, on } = one;
		const check = el("input", { type: "checkbox", checked: on, "data-name": name,
			onchange: ({ target }) => this.#set(one, row, { on: target.checked }) });
		const row = el("li", { class: `step${on ? " on" : ""}`, "data-name": name },
			el("label", { class: "what" }, check, el("span", {},
				el("strong", {}, t(`proc_${name}`)), el("span", { class: "hint" }, t(`about_${name}`)))),
			this.#slider(one), el("span", { class: "moves" }, this.#move(i, -1), this.#move(i, 1)));
		return row;
	}

	#slider(one) {
		const { param, unit, min, max, step } = processor(one.name);
		if (!param) return el("span", { class: "slider" });
		const figure = el("output", {}, `${one.value} ${unit}`);
		return el("span", { class: "slider" },
			el("input", { type: "range", min, max, step, value: one.value, "aria-label": `${t(`proc_${one.name}`)}, ${unit}`,
				oninput: ({ target }) => {
					figure.textContent = `${target.value} ${unit}`;
					this.#set(one, target.closest("li"), { value: Number(target.value) });
				} }), figure);
	}

	#move(i, by) {
		const { name } = this.#list[i];
		const text = t(by < 0 ? "moveUp" : "moveDown", { name: t(`proc_${name}`) });
		return el("button", { type: "button", class: "quiet", title: text, "aria-label": text,
			disabled: !this.#list[i + by], onclick: () => this.#swap(i, i + by) }, icon(by < 0 ? "up" : "down"));
	}

	#swap(from, to) {
		const { name } = this.#list[from];
		[this.#list[from], this.#list[to]] = [this.#list[to], this.#list[from]];
		this.draw();
		const buttons = [...$("chain").children[to].querySelectorAll(".moves button")];
		(buttons.find((button, i) => !button.disabled && (i === 1) === to > from) ?? buttons.find((one) => !one.disabled)).focus();
		announce(t("moved", { name: t(`proc_${name}`), n: to + 1 }));
		this.#changed();
	}

	#set(one, row, what) {
		Object.assign(one, what);
		row.classList.toggle("on", one.on);
		this.#drawText();
		this.#changed();
	}

	#changed() {
		remember("chain", JSON.stringify(this.#list));
		clearTimeout(this.#timer);
		this.#timer = setTimeout(() => this.#onChange(this.chain), SETTLE_MS);
	}
}
