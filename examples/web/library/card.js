/*
 * One finished recording as a card: its picture or wave, what it is, and a player in its place once
 * somebody wants to hear it. Players ask for ranges, so that seeking is at once.
 */
import { t } from "../base/i18n.js";
import { bytes, clock, el, icon, notice, when } from "../base/ui.js";

/* Folders of the storage that say what a file is (msr-record(8)). */
const KINDS = { mix: "kindMix", screen: "kindScreen" };

/* recording: of library.js; onShare() puts it into the room's text. */
export function drawCard(recording, { fresh, onShare }) {
	const { name, url, path, room, duration, size, start, kind, folder } = recording;
	const facts = [room, start && when(new Date(start)), size && bytes(size)].filter(Boolean).join(" · ");
	return el("li", { class: `recording${fresh ? " fresh" : ""}`, "data-path": path, "data-session": recording.session },
		shot(recording),
		el("div", { class: "about" },
			el("strong", { title: path }, name),
			el("span", { class: "muted" }, facts),
			el("div", { class: "chips" },
				KINDS[folder] ? el("span", { class: "chip" }, t(KINDS[folder])) : null,
				fresh ? el("span", { class: "chip new" }, t("fresh")) : null),
			el("div", { class: "row" },
				el("button", { type: "button", class: "quiet", onclick: onShare }, icon("share"), el("span", {}, t("share"))),
				el("a", { class: "button quiet", href: url, download: path.split("/").pop(), title: t("download"),
					"aria-label": `${t("download")} ${name}` }, icon("download")))));
}

function shot(recording) {
	const { name, kind, picture, duration } = recording;
	const button = el("button", { type: "button", class: `shot ${kind}`, "aria-label": t("play", { name }) },
		picture ? el("img", { src: picture, alt: "", loading: "lazy" }) : null,
		el("span", { class: "go", "aria-hidden": "true" }),
		duration === undefined ? null : el("span", { class: "length" }, clock(duration)));
	button.addEventListener("click", () => button.replaceWith(player(recording)));
	return button;
}

function player({ url, kind, picture, name }) {
	const media = el(kind, { src: url, controls: true, autoplay: true, playsinline: true, "aria-label": name,
		poster: kind === "video" ? picture : null });
	const box = el("div", { class: `player ${kind}` },
		kind === "audio" && picture ? el("img", { src: picture, alt: "" }) : null, media);
	media.addEventListener("error", () => notice(t("cannotPlay"), { kind: "bad" }));
	media.addEventListener("loadeddata", () => media.focus(), { once: true });
	return box;
}

/* In the place of one that is not finished yet. */
export function drawPending(name) {
	return el("li", { class: "recording pending" },
		el("div", { class: "shot", "aria-hidden": "true" }, el("span", { class: "spinner" })),
		el("div", { class: "about" }, el("strong", {}, name), el("span", { class: "muted" }, t("preparing"))));
}
