/*
 * A sound card that nobody hears. Firefox has no clock for sound without one: it then runs no
 * AudioContext, and its fake microphone is one per cent slow.
 */
import { access } from "node:fs/promises";
import { join } from "node:path";
import { start, tempDir, waitFor } from "./support.mjs";

/* Ends with the test. Returns what a program's environment has to have to use it. */
export async function startSoundCard(t) {
	const home = await tempDir(t);
	const socket = join(home, "native");
	const card = start(t, "pulseaudio", [
		"-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1", "--disable-shm=yes",
		"-L", `module-native-protocol-unix socket=${socket} auth-anonymous=1`,
		"-L", "module-null-sink rate=48000",
	], { env: { ...process.env, HOME: home, XDG_RUNTIME_DIR: home } });
	await waitFor("the sound card", async () => {
		if (card.child.exitCode !== null) throw new Error(card.log());
		await access(socket);
		return true;
	});
	return { PULSE_SERVER: `unix:${socket}` };
}
