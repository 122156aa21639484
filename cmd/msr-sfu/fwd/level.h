/* What a viewer can want of a track; the rooms and the media threads have these in common. */
#ifndef MSR_SFU_FWD_LEVEL_H
#define MSR_SFU_FWD_LEVEL_H

/* Of sound only whether it is off. */
enum media_level {
	MEDIA_AUTO, /* the best that there is and that the network carries */
	MEDIA_HIGH,
	MEDIA_MID,
	MEDIA_LOW,
	MEDIA_OFF,
	MEDIA_LEVELS
};

#endif
