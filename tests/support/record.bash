# shellcheck shell=bash
# Help for tests of msr-record: media, frames as words, and what a finished file must be.

load ../support/common

setup_file() {
	# Media once for all tests, from one FFmpeg. What is live goes into pipes, where no head is written again.
	# With several threads libvpx spends most of its time waiting for one in a loop.
	export MEDIA=$BATS_FILE_TMPDIR
	cd "$MEDIA" || return
	local vp8=(-c:v libvpx -threads 1 -b:v 200k -deadline realtime -cpu-used 8) vp9=(-c:v libvpx-vp9 -b:v 200k -deadline realtime -cpu-used 8)
	local format raw=()
	for format in u8 s16le s24le s32le f32le; do
		raw+=(-map 1 -ac 2 -f $format a.$format)
	done
	ffmpeg -nostdin -v error -f lavfi -i testsrc2=s=160x120:r=25:d=3 -f lavfi -i sine=440:r=48000:d=3 \
		-map 0 -map 1 "${vp8[@]}" -c:a libopus -f webm pipe:11 -map 0 "${vp8[@]}" -f webm pipe:12 \
		-map 0 "${vp9[@]}" -f webm pipe:13 -map 1 -c:a libopus -f webm pipe:14 -map 1 -c:a libopus -f ogg pipe:15 \
		-map 0 -map 1 -c:v libx264 -preset ultrafast -c:a aac -movflags frag_keyframe+empty_moov+default_base_moof -f mp4 pipe:16 \
		-map 1 -c:a pcm_s16le a.wav "${raw[@]}" 11>av.webm 12>v.webm 13>vp9.webm 14>a.webm 15>a.ogg 16>av.mp4
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return
}

teardown() {
	stop_all
}

frames() {
	$PYTHON "$SUPPORT/frames.py" "$@"
}

# Frames as words of frames.py to finished files in st/: record [OPTIONS] -- WORDS
record() {
	local options=()
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	frames "$@" | msr-record -d st -e events "${options[@]}"
}

# good_file NAME SECONDS [TOLERANCE]: plays to its end without a complaint, is as long as it should be, and
# the metadata beside it is right.
good_file() {
	local file=st/$1 said=()
	# One FFmpeg says all; most of its time is its start.
	ffmpeg -nostdin -nostats -v level+info -i "$file" -fps_mode passthrough -f null - 2>ffmpeg.log
	# The null muxer's own complaint when two times fall into one tick of it is not the file's fault.
	grep -E '\[(error|fatal)\]' ffmpeg.log | grep -v "non monotonically increasing dts to muxer" && return 1
	awk '$2 == "Duration:" { split($3, t, ":"); print t[1] * 3600 + t[2] * 60 + t[3] }' ffmpeg.log | near "$2" "${3:-0.1}"
	cat "st/${1%.*}.json"
	mapfile -t said < <(jq -r '.duration, .sha256, .bytes, .file' "st/${1%.*}.json")
	echo "${said[0]}" | near "$2" "${3:-0.1}"
	[ "${said[1]}" = "$(sha256sum <"$file" | cut -d' ' -f1)" ]
	[ "${said[2]}" = "$(stat -c %s "$file")" ]
	[ "${said[3]}" = "${1##*/}" ]
}

# Its standard input is within $2 of $1.
near() {
	awk -v want="$1" -v by="$2" '{ d = $1 - want; is_near = d <= by && d >= -by } END { exit !is_near }'
}

# Codecs of a file, such as "vp8 opus".
codecs() {
	jq -r '.codecs | join(" ")' "$1"
}

no_hidden_files() {
	[ -z "$(find st -name '.*' -type f)" ]
}

count_events() {
	jq -c --arg ev "$1" 'select(.ev == $ev)' events | wc -l
}
