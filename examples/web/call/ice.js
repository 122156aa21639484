/*
 * Why a peer connection did not come up, as far as its statistics tell.
 */

/* A string key: noCandidates, noAnswer, dtls, lost or unknown. */
export async function whyFailed(connections) {
	for (const pc of connections) {
		if (!pc) continue;
		const stats = [...(await pc.getStats()).values()];
		const of = (type) => stats.filter((entry) => entry.type === type);
		if (!of("local-candidate").length && !of("transport").length && pc.localDescription) return "noCandidates";
		const pairs = of("candidate-pair");
		if (of("transport").some(({ dtlsState }) => dtlsState === "failed")) return "dtls";
		if (pairs.some(({ nominated, bytesReceived }) => nominated && bytesReceived > 0)) {
			if (pc.connectionState === "connected") continue;
			return "lost";
		}
		// None at all: of the server's addresses there was none that the browser could try.
		if (pc.remoteDescription && pairs.every(({ responsesReceived = 0 }) => responsesReceived === 0)) return "noAnswer";
	}
	return "unknown";
}
