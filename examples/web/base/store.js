/*
 * What the page remembers between visits. Browsers that keep nothing (blocked cookies) throw at the
 * mere touch of localStorage: then nothing is remembered, and everything else works.
 */

export function recall(key) {
	try {
		return localStorage.getItem(`msr.${key}`);
	} catch {
		return null;
	}
}

export function remember(key, value) {
	try {
		localStorage.setItem(`msr.${key}`, value);
	} catch {
		// asked again the next time
	}
}
