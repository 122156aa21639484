/*
 * Names of people become ids of the server: 1 to 128 of A-Z a-z 0-9 . _ -, not starting with a dot.
 */

const CYRILLIC = {
	а: "a", б: "b", в: "v", г: "g", д: "d", е: "e", ё: "e", ж: "zh", з: "z", и: "i", й: "y",
	к: "k", л: "l", м: "m", н: "n", о: "o", п: "p", р: "r", с: "s", т: "t", у: "u", ф: "f",
	х: "h", ц: "ts", ч: "ch", ш: "sh", щ: "sch", ъ: "", ы: "y", ь: "", э: "e", ю: "yu", я: "ya",
};

/* The part of an id that people recognise; "" when nothing of `text` fits. */
export function slug(text) {
	return text
		.trim()
		.toLowerCase()
		.replace(/[а-яё]/g, (letter) => CYRILLIC[letter])
		.normalize("NFKD")
		.replace(/[\u0300-\u036f]/g, "")
		.replace(/[^a-z0-9._-]+/g, "-")
		.replace(/^[-.]+|[-.]+$/g, "")
		.slice(0, 64);
}

/* What percent signs in a part of an address stand for; the part itself where they stand for nothing ("100%"). */
export function decoded(part) {
	try {
		return decodeURIComponent(part);
	} catch {
		return part;
	}
}

/* `n` letters and digits that nobody guesses by accident. */
export function random(n) {
	const letters = "abcdefghijkmnpqrstuvwxyz23456789";
	return Array.from(crypto.getRandomValues(new Uint8Array(n)), (b) => letters[b % 32]).join("");
}

/* The name of a recording, which is also its file's: who, when, and something of its own. */
export function sessionId(name, now = new Date()) {
	const two = (n) => String(n).padStart(2, "0");
	const day = `${now.getFullYear()}${two(now.getMonth() + 1)}${two(now.getDate())}`;
	const time = `${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}`;
	return `${slug(name) || "guest"}-${day}-${time}-${random(3)}`;
}
