/*
 * What can be wrong with a call, as a sentence that says what to do.
 */
import { t } from "../base/i18n.js";

/* A reason of call.js or an SfuError. */
export function explainCall({ code, why, message }) {
	switch (code) {
	case "ice":
		return t(`ice_${why}`);
	case "unreachable":
		return t("sfuGone");
	case "replaced":
		return t("takenOver");
	case "ended":
	case "room deleted":
		return t("callEnded");
	case "no_ports":
	case "limit":
		return t("sfuFull");
	case "forbidden_origin":
		return t("sfuOrigin", { origin: location.origin });
	default:
		return t("sfuSays", { message: message || code });
	}
}
