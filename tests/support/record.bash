# shellcheck shell=bash
# Help for tests of msr-record: media, frames as words, and what a finished file must be.

load ../support/common

setup_file() {
	# Media once for all tests.
	export MEDIA=$BATS_FILE_TMPDIR
	cd "$MEDIA" || return
	local video=(-f lavfi -i testsrc2=s=160x120:r=25:d=3) tone=(-f lavfi -i sine=440:r=48000:d=3)
	local vp8=(-c:v libvpx -b:v 200k -deadline realtime -cpu-used 8)
	ffmpeg -v error "${video[@]}" "${tone[@]}" "${vp8[@]}" -c:a libopus -f webm - >av.webm
	ffmpeg -v error "${video[@]}" "${vp8[@]}" -f webm - >v.webm
	ffmpeg -v error "${video[@]}" -c:v libvpx-vp9 -b:v 200k -deadline realtime -cpu-used 8 -f webm - >vp9.webm
	ffmpeg -v error "${tone[@]}" -c:a libopus -f webm - >a.webm
	ffmpeg -v error "${tone[@]}" -c:a libopus -f ogg - >a.ogg
	ffmpeg -v error "${tone[@]}" -c:a pcm_s16le a.wav
	ffmpeg -v error "${video[@]}" "${tone[@]}" -c:v libx264 -preset ultrafast -c:a aac \
		-movflags frag_keyframe+empty_moov+default_base_moof -f mp4 - >av.mp4
	local format
	for format in u8 s16le s24le s32le f32le; do
		ffmpeg -v error "${tone[@]}" -ac 2 -f $format - >a.$format
	done
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
