# shellcheck shell=bash
# Help for tests of msr-record: media, frames as words, and what a finished file must be.

load ../support/common

setup_file() {
	# Media once for all tests, from one FFmpeg. What is live goes into pipes, where no head is written again.
	export MEDIA=$BATS_FILE_TMPDIR
	cd "$MEDIA" || return
	local vp8=(-c:v libvpx -b:v 200k -deadline realtime -cpu-used 8) vp9=(-c:v libvpx-vp9 -b:v 200k -deadline realtime -cpu-used 8)
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
	local file=st/$1 json=st/${1%.*}.json
	ffmpeg -v error -i "$file" -fps_mode passthrough -f null - 2>errors
	# The null muxer's own complaint when two times fall into one tick of it is not the file's fault.
	grep -vE "non monotonically increasing dts to muxer|Last message repeated" errors && return 1
	cat "$json"
	ffprobe -v error -show_entries format=duration -of csv=p=0 "$file" | near "$2" "${3:-0.1}"
	jq .duration "$json" | near "$2" "${3:-0.1}"
	[ "$(jq -r .sha256 "$json")" = "$(sha256sum <"$file" | cut -d' ' -f1)" ]
	[ "$(jq .bytes "$json")" = "$(stat -c %s "$file")" ]
	[ "$(jq -r .file "$json")" = "${1##*/}" ]
}

# Its standard input is within $2 of $1.
near() {
	awk -v want="$1" -v by="$2" '{ d = $1 - want; exit !(d <= by && d >= -by) }'
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
