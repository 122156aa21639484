/*
 * Who is in the call beside oneself, and the streams of each: fed by the server's events (joined,
 * left, tracks) and by the tracks that arrive, whichever comes first. Tracks alone make nobody be
 * there: those of somebody who left may arrive late.
 */

/* The server names the stream of a user by the user's id, of a shared screen with this behind it. */
export const SCREEN = "~screen";

export class People {
	#me;
	#changed;
	#people = new Map(); // user → {user, here, camera, screen: MediaStream or null, screens: track ids}

	/* changed() is called after each change. */
	constructor(me, changed) {
		this.#me = me;
		this.#changed = changed;
	}

	/* [{user, camera, screen, screens}], in the order in which they came. */
	all() {
		return [...this.#people.values()].filter(({ here }) => here);
	}

	/* The server says that this one is there. */
	add(user) {
		const person = this.#record(user);
		if (!person.here) {
			person.here = true;
			this.#changed();
		}
		return person;
	}

	/* The person, who may not be there; of oneself a record that is not kept. */
	#record(user) {
		const person = this.#people.get(user)
			?? { user, here: false, camera: null, screen: null, screens: [] };
		if (user !== this.#me) this.#people.set(user, person);
		return person;
	}

	remove(user) {
		if (this.#people.delete(user)) this.#changed();
	}

	clear() {
		this.#people.clear();
		this.#changed();
	}

	setTracks(user, tracks) {
		this.add(user).screens = (tracks ?? []).filter(({ source }) => source === "screen").map(({ id }) => id);
		this.#changed();
	}

	/* Key of the tile of a track that the server names, such as in "layer". */
	keyOfTrack(user, track) {
		return this.#people.get(user)?.screens.includes(track) ? user + SCREEN : user;
	}

	/* Takes a "track" event of the receiving connection. */
	arrived({ track, streams: [stream] }) {
		if (!stream) return;
		const { user, screen } = ownerOf(stream.id);
		const person = this.#record(user);
		const show = () => {
			const kept = stream.getTracks().length ? stream : null;
			if (screen) person.screen = kept;
			else person.camera = kept;
			this.#changed();
		};
		stream.addEventListener("removetrack", show);
		for (const event of ["mute", "unmute"]) track.addEventListener(event, this.#changed);
		show();
	}

	/* Key of the tile that shows this track: the user, with SCREEN behind it for a screen; or null. */
	keyOf(track) {
		for (const { user, camera, screen } of this.all()) {
			if (camera?.getTracks().includes(track)) return user;
			if (screen?.getTracks().includes(track)) return user + SCREEN;
		}
		return null;
	}
}

function ownerOf(id) {
	const screen = id.endsWith(SCREEN);
	return { user: screen ? id.slice(0, -SCREEN.length) : id, screen };
}
