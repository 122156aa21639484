/* What the two ends of a stream may tell each other over RTCP. */
#ifndef MSR_RTP_FEEDBACK_H
#define MSR_RTP_FEEDBACK_H

#include <stdbool.h>

/* The feedback that both ends named for a payload type (a=rtcp-fb, RFC 4585 section 4.2). */
struct rtp_feedback {
	bool nack; /* RFC 4585 section 6.2.1 */
	bool pli;  /* RFC 4585 section 6.3.1 */
	bool fir;  /* RFC 5104 section 4.3.1 */
	bool twcc; /* transport-cc, draft-holmer-rmcat-transport-wide-cc-extensions-01 */
	bool remb; /* goog-remb, draft-alvestrand-rmcat-remb-03 */
	/* a=rtcp-rsize, of the section: feedback may go without reports (RFC 5506 section 5) */
	bool rsize;
};

#endif
