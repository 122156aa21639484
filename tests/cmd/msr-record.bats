#!/usr/bin/env bats
# msr-record(8): real media in, files that play out; names, gaps, and what survives.

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

@test "audio and video in WebM become .webm with a poster" {
	record -- kind=video codec=webm size=10000 @"$MEDIA/av.webm" close
	good_file s1.webm 3
	[ "$(codecs st/s1.json)" = "vp8 opus" ]
	[ "$(jq -r '"\(.room) \(.session) \(.width)x\(.height) \(.sample_rate)"' st/s1.json)" = "room s1 160x120 48000" ]
	[ "$(jq -r .poster st/s1.json)" = s1.poster.jpg ]
	ffprobe -v error st/s1.poster.jpg
	no_hidden_files
	[ "$(count_events finished)" = 1 ]
}

@test "sound alone becomes .mp3 with a waveform, from WebM, Ogg and WAV" {
	local type
	for type in webm ogg wav; do
		record -- session=$type codec=$type @"$MEDIA/a.$type" close
		good_file $type.mp3 3
		ffprobe -v error st/$type.wave.png
	done
	no_hidden_files
}

@test "the type is found from the data when nobody says it" {
	record -- session=a @"$MEDIA/a.ogg" session=v kind=video @"$MEDIA/vp9.webm"
	good_file a.mp3 3
	good_file v.webm 3
	[ "$(codecs st/v.json)" = vp9 ]
}

@test "raw PCM of every format" {
	local format
	for format in u8 s16le s24le s32le f32le; do
		record --audio wav -- session=$format codec=$format rate=48000 channels=2 size=9600 step=10000 @"$MEDIA/a.$format" close
		good_file $format.wav 3 0.001
		# Every sample is there, unchanged.
		ffmpeg -v error -i st/$format.wav -f $format - | cmp - "$MEDIA/a.$format"
	done
}

@test "each audio format" {
	local format
	for format in opus flac wav m4a; do
		record --audio $format -- session=$format codec=ogg @"$MEDIA/a.ogg" close
		good_file $format.$format 3
	done
	[ "$(codecs st/flac.json)" = flac ]
	[ "$(codecs st/m4a.json)" = aac ]
}

@test "H.264 goes to .mkv unchanged, or to .mp4 when asked; VP8 is transcoded for .mp4" {
	record -- kind=video codec=mp4 @"$MEDIA/av.mp4" close
	good_file s1.mkv 3
	[ "$(codecs st/s1.json)" = "h264 aac" ]
	record --video mp4 -- session=s2 kind=video codec=mp4 @"$MEDIA/av.mp4" session=s3 codec=webm @"$MEDIA/av.webm"
	good_file s2.mp4 3
	good_file s3.mp4 3
	[ "$(codecs st/s3.json)" = "h264 aac" ]
}

@test "separate audio and video streams share a file, shifted by their arrival" {
	frames time=1000000000 kind=audio codec=webm step=0 @"$MEDIA/a.webm" >a
	frames time=1000500000 kind=video codec=webm step=0 @"$MEDIA/v.webm" >v
	cat v a | msr-record -d st -e events
	good_file s1.webm 3.5
	ffprobe -v error -select_streams v -show_entries packet=pts_time -of csv=p=0 st/s1.webm | head -n 1 | near 0.5 0.02
	ffprobe -v error -select_streams a -show_entries packet=pts_time -of csv=p=0 st/s1.webm | head -n 1 | near 0 0.02
}

@test "a session that is recorded again gets ~2, also from another room; nothing is overwritten" {
	record -- codec=ogg @"$MEDIA/a.ogg" close
	cp -r st before
	record -- codec=ogg @"$MEDIA/a.ogg" close room=other @"$MEDIA/a.ogg" close
	cmp before/s1.mp3 st/s1.mp3
	cmp before/s1.json st/s1.json
	good_file s1~2.mp3 3
	good_file s1~3.mp3 3
	[ "$(jq -r .room st/s1~3.json)" = other ]
	[ "$(jq -r .session st/s1~3.json)" = s1 ]
}

@test "a storage id is a folder, unless it is the session's own; media names are refused" {
	record -- codec=ogg storage=screen @"$MEDIA/a.ogg" session=s2 storage=s2 @"$MEDIA/a.ogg" \
		session=s3 storage=x.mp3 @"$MEDIA/a.ogg"
	good_file screen/s1.mp3 3
	good_file s2.mp3 3
	[ "$(jq -r .storage st/screen/s1.json)" = screen ]
	[ ! -e st/x.mp3 ]
	[ "$(count_events refused)" = 1 ]
}

@test "a storage id that is a link or a file in the storage is refused" {
	mkdir st elsewhere
	ln -s ../elsewhere st/link
	echo >st/file
	record --no-pictures -- codec=s16le rate=48000 channels=2 storage=link @"$MEDIA/a.s16le":0 storage=file @"$MEDIA/a.s16le":1 \
		storage=fine @"$MEDIA/a.s16le":2 close
	[ -z "$(ls -A elsewhere)" ]
	[ "$(count_events refused)" = 2 ]
	[ -e st/fine/s1.mp3 ]
}

@test "a session has at most 64 storage ids; that the others are dropped is said once" {
	local words=() i
	for i in {1..70}; do
		words+=("storage=x$i" part=0 "@$MEDIA/a.webm:0")
	done
	record --no-pictures --finishers 4 -- codec=webm size=1000000 "${words[@]}" close
	[ "$(count_events refused)" = 1 ]
	[ "$(find st -name s1.json | wc -l)" = 64 ]
}

@test "ids that would leave the storage never reach it" {
	mkdir inside
	cd inside
	record -- codec=ogg session=../evil @"$MEDIA/a.ogg" session=x storage=.. @"$MEDIA/a.ogg" \
		storage= room=../../r @"$MEDIA/a.ogg" room=r session=.x @"$MEDIA/a.ogg" session=good @"$MEDIA/a.ogg"
	good_file good.mp3 3
	[ "$(cd .. && find . -name '*.mp3')" = ./inside/st/good.mp3 ]
}

@test "missing parts in PCM become silence; repeated and late ones are left out" {
	# Parts of half a second: 0 1 1 0 _ 3 2 4 5
	record --audio wav -- codec=s16le rate=48000 channels=2 size=96000 step=500000 @"$MEDIA/a.s16le":0,1,1,0,3,2,4,5 close
	good_file s1.wav 3 0.001
	[ "$(jq -c '[.parts, .missing, .duplicates, .gaps[0].part, .gaps[0].missing]' st/s1.json)" = '[5,1,3,2,1]' ]
	[ "$(count_events gap)" = 1 ]
	ffmpeg -v error -i st/s1.wav -f s16le - >got
	cmp -n 192000 got "$MEDIA/a.s16le"
	cmp -n 96000 <(tail -c +192001 got) /dev/zero
	cmp <(tail -c +288001 got) <(tail -c +288001 "$MEDIA/a.s16le")
}

@test "an invented part number does not make hours of silence" {
	record --audio wav -- codec=s16le rate=48000 channels=2 size=96000 step=1000 @"$MEDIA/a.s16le":0 \
		part=1000000000000 @"$MEDIA/a.s16le":1 close
	[ "$(jq '.duration < 12' st/s1.json)" = true ]
}

@test "invented times and part numbers together make no file too large for the disk" {
	record --audio wav -- codec=s16le rate=8000 channels=1 size=16000 time=0 @"$MEDIA/a.s16le":0 \
		time=9000000000000000000 part=1000000000000000000 @"$MEDIA/a.s16le":1 \
		session=s2 time=-9000000000000000000 part=0 @"$MEDIA/a.s16le":0 \
		time=9000000000000000000 part=1000000000000000000 @"$MEDIA/a.s16le":1 close
	[ "$(jq '.duration <= 3602' st/s1.json)" = true ]
	[ "$(jq '.duration <= 3602' st/s2.json)" = true ]
	[ "$(count_events disk-full)" = 0 ]
}

@test "a container that jumps ahead by half a day again and again becomes no days of silence" {
	ffmpeg -v error -f lavfi -i sine=440:r=48000:d=1 -c:a libopus -output_ts_offset 40000 -f webm later.webm
	# Clusters of one file behind those of another, each 40,000 s after the one before.
	$PYTHON - "$MEDIA/a.webm" later.webm >jumps.webm <<-'EOF'
		import sys
		first, later = (open(name, "rb").read() for name in sys.argv[1:])
		cluster = later[later.find(b"\x1f\x43\xb6\x75"):].partition(b"\x1c\x53\xbb\x6b")[0]
		at = cluster.find(b"\xe7") + 2
		n = cluster[at - 1] & 0x7f
		time = int.from_bytes(cluster[at:at + n], "big")
		jumps = (cluster[:at] + (time * i).to_bytes(n, "big") + cluster[at + n:] for i in range(1, 4))
		sys.stdout.buffer.write(first + b"".join(jumps))
	EOF
	record --no-pictures -- codec=webm size=1000000 @jumps.webm close
	[ "$(jq '.duration < 8000' st/s1.json)" = true ]
}

@test "missing parts of a container leave the length right" {
	record -- codec=webm size=2000 @"$MEDIA/a.webm":0,1,2,3,4,8,9,10,11,12,13,14,15,16,17,18,19,20 close
	jq .duration st/s1.json | near 3 0.3
	[ "$(jq .missing st/s1.json)" = 3 ]
}

@test "a stream that begins anew begins a new recording" {
	record -- codec=webm @"$MEDIA/a.webm" part=0 @"$MEDIA/a.webm":0 codec=ogg part=100 @"$MEDIA/a.ogg" close
	good_file s1.mp3 3
	good_file s1~2.mp3 3
	# The first part again, as after a lost acknowledgement, is no new stream.
	[ "$(jq .duplicates st/s1.json)" = 1 ]
}

@test "when one of two streams begins anew, the other one stays where it was" {
	record -- step=0 kind=audio codec=webm @"$MEDIA/a.webm" kind=video part=0 size=20000 @"$MEDIA/v.webm":0,1 \
		kind=audio part=50 size=4096 @"$MEDIA/a.webm" kind=video part=0 size=20000 @"$MEDIA/v.webm":2,3,4,5,6,7,8,9 close
	good_file s1.webm 3
	[ "$(jq -r '.codecs | sort | join(" ")' st/s1.json)" = "opus vp8" ]
	good_file s1~2.mp3 3
}

@test "data that is no media fails alone, stays, and opens nothing else" {
	printf '#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile://%s/a.ogg\n#EXT-X-ENDLIST\n' "$MEDIA" >list
	printf 'ffconcat version 1.0\nfile %s/a.ogg\n' "$MEDIA" >concat
	head -c 20000 /dev/urandom >noise
	run record -- session=list @list session=concat @concat session=noise kind=video @noise session=good kind=audio codec=ogg @"$MEDIA/a.ogg"
	[ "$status" -eq 1 ]
	good_file good.mp3 3
	[ "$(find st -name '*.mp3' | wc -l)" = 1 ]
	[ "$(count_events finish-failed)" = 3 ]
	cmp noise st/.noise.video.part
	cmp list st/.list.audio.part
}

@test "random bytes on the pipe harm nobody" {
	{
		frames junk:5000 codec=ogg @"$MEDIA/a.ogg":0,1,2
		frames junk:100000 text:hello codec=ogg @"$MEDIA/a.ogg":3,4,5,6,7,8,9 junk:77
	} | msr-record -d st -e events --metrics metrics
	good_file s1.mp3 3
	grep -qE '^msr_record_skipped_bytes_total [1-9]' metrics
	grep -q '^msr_record_ignored_total 1$' metrics
}

@test "impossible PCM and sessions beyond the limits are refused, others go on" {
	record --max-bytes 100K --audio wav -- session=bad codec=s16le rate=0 channels=2 @"$MEDIA/a.s16le":0 \
		session=long rate=48000 @"$MEDIA/a.s16le" session=s2 codec=ogg @"$MEDIA/a.ogg"
	[ "$(count_events refused)" = 2 ]
	good_file s2.wav 3
	jq .duration st/long.json | near 0.51 0.03
	no_hidden_files
	record --max-sessions 1 -- session=one codec=ogg @"$MEDIA/a.ogg":0,1,2 session=two @"$MEDIA/a.ogg":0 session=one @"$MEDIA/a.ogg":3,4,5,6
	good_file one.mp3 3
	[ ! -e st/two.mp3 ]
}

# A FIFO that stays open, so that frames can be given bit by bit: give WORDS ...
open_fifo() {
	[ -p fifo ] || mkfifo fifo
	exec 9<>fifo
}
give() {
	frames "$@" >&9
}
# recorder [OPTIONS]: started on st/ and without the test's end of the FIFO.
recorder() {
	start record sh -c 'exec 9>&-; exec "$@"' sh msr-record -d st -e events "$@"
}
# A stream's bytes are in its part file, and counted in one of the journal's two slots: has_bytes NAME.KIND BYTES
has_bytes() {
	local slot at=96
	[ "$(stat -c %s "st/.$1.part")" -ge "$2" ] || return
	[ "${1##*.}" = video ] && at=192
	for slot in 512 1536; do
		[ "$(od -An -tu8 -j $((slot + at)) -N 8 "st/.${1%%.*}.journal")" -ge "$2" ] && return
	done
	return 1
}

@test "kill -9 leaves files that play, and --recover finishes them" {
	local size=96000
	open_fifo
	recorder -i fifo
	give codec=s16le rate=48000 channels=2 size=$size step=500000 @"$MEDIA/a.s16le"
	give session=av kind=video codec=webm @"$MEDIA/av.webm":0,1,2,3,4,5,6,7,8,9,10
	wait_for 5 has_bytes s1.audio $((6 * size))
	wait_for 5 has_bytes av.video 45000
	sleep 1.1 # the header of growing PCM is at most a second old: the time is what is tested
	kill -9 "$PID"
	wait_gone "$PID"
	ffprobe -v error -show_entries format=duration -of csv=p=0 st/.s1.audio.part | near 3 0.01
	ffmpeg -v error -i st/.av.video.part -f null -
	msr-record --recover -d st -e events
	good_file s1.mp3 3
	[ -s st/av.webm ]
	no_hidden_files
	[ "$(count_events recovered)" = 2 ]
}

@test "a restarted recorder goes on with its sessions" {
	open_fifo
	recorder --follow -i fifo
	give codec=s16le rate=48000 channels=2 size=96000 step=500000 time=1000000000 @"$MEDIA/a.s16le":0,1,2
	wait_for 5 has_bytes s1.audio 288000
	kill -9 "$PID"
	wait_gone "$PID"
	recorder --audio wav --follow -i fifo
	# A part that is stored already comes again.
	give codec=s16le rate=48000 channels=2 size=96000 step=500000 time=1001500000 @"$MEDIA/a.s16le":2,3,4,5 close
	wait_for 10 test -s st/s1.json
	good_file s1.wav 3 0.001
	ffmpeg -v error -i st/s1.wav -f s16le - | cmp - "$MEDIA/a.s16le"
	[ "$(jq .duplicates st/s1.json)" = 1 ]
}

@test "a recording that is open in one process is left alone by another" {
	open_fifo
	recorder -i fifo
	give codec=ogg @"$MEDIA/a.ogg":0,1,2
	wait_for 5 has_bytes s1.audio 10000
	msr-record --recover -d st -e events2
	record -- codec=ogg @"$MEDIA/a.ogg" close
	good_file s1~2.mp3 3
	give codec=ogg @"$MEDIA/a.ogg":3,4,5,6,7,8,9 close
	wait_for 10 test -s st/s1.json
	good_file s1.mp3 3
}

@test "abandoned sessions end after --idle, silent ones after --max-pause" {
	open_fifo
	recorder -i fifo
	give codec=ogg @"$MEDIA/a.ogg"
	wait_for 5 has_bytes s1.audio 20000
	kill -9 "$PID"
	wait_gone "$PID"
	recorder --idle 100ms --grace 100ms -i fifo
	wait_for 10 test -s st/s1.json
	kill "$PID"
	wait_gone "$PID"
	recorder --max-pause 100ms -i fifo
	give session=s2 codec=ogg @"$MEDIA/a.ogg"
	wait_for 10 test -s st/s2.json
}

@test "an ffmpeg that is killed is started again" {
	mkdir bin
	# The first two die, the others work.
	cat >bin/ffmpeg <<-'EOF'
		#!/bin/sh
		echo x >>tries
		[ "$(wc -l <tries)" -gt 2 ] || kill -9 $$
		exec /usr/bin/ffmpeg "$@"
	EOF
	chmod +x bin/ffmpeg
	PATH=$PWD/bin:$PATH record -- codec=ogg @"$MEDIA/a.ogg" close
	good_file s1.mp3 3
	[ "$(count_events finished)" = 1 ]
	no_hidden_files
}

@test "what cannot be finished is finished by the next start" {
	mkdir bin
	printf '#!/bin/sh\necho "no such encoder" >&2\nexit 1\n' >bin/ffmpeg
	chmod +x bin/ffmpeg
	PATH=$PWD/bin:$PATH run record -- codec=ogg @"$MEDIA/a.ogg" close
	[ "$status" -eq 1 ]
	jq -r 'select(.ev == "finish-failed") | .message' events | grep -q "no such encoder"
	cmp st/.s1.audio.part "$MEDIA/a.ogg"
	[ ! -e st/s1.json ]
	msr-record --recover -d st -e events
	good_file s1.mp3 3
	no_hidden_files
}

@test "on SIGTERM a pipe is read to its end and its recordings are finished" {
	open_fifo
	recorder --grace 20s -i fifo
	give codec=ogg @"$MEDIA/a.ogg":0,1,2,3
	wait_for 5 has_bytes s1.audio 16000
	kill "$PID"
	give codec=ogg @"$MEDIA/a.ogg":4,5,6,7,8,9
	exec 9>&-
	wait "$PID"
	good_file s1.mp3 3
}

@test "a file size limit ends that file only: samples go on in the next, others are not touched" {
	open_fifo
	start record sh -c 'exec 9>&-; ulimit -S -f 100; exec msr-record -d st -e events --audio wav --no-pictures -i fifo' # 51,200 bytes
	give session=long codec=s16le rate=48000 channels=2 size=9600 step=50000 @"$MEDIA/a.s16le":0,1,2,3,4,5,6,7,8,9,10,11 \
		session=s2 part=0 @"$MEDIA/a.s16le":0,1,2 session=long part=0 @"$MEDIA/a.s16le":12 close session=s2 close
	wait_for 40 test -s st/s2.json
	wait_for 40 test -s st/long~3.json
	[ "$(count_events gap)" = 0 ]
	[ "$(count_events disk-full)" = 0 ]
	[ "$(jq -r 'select(.ev == "recording-stop" and .name != "s2") | .reason' events | xargs)" = "file-limit file-limit close" ]
	# Nothing is lost on the way from one to the next.
	for name in long long~2 long~3; do
		[ "$(stat -c %s st/$name.wav)" -le 51200 ]
		ffmpeg -v error -i st/$name.wav -f s16le -
	done | cmp - <(head -c $((13 * 9600)) "$MEDIA/a.s16le")
	good_file s2.wav 0.15
}

@test "a container at the file size limit ends there, which is said" {
	head -c 45000 "$MEDIA/av.webm" >long
	frames session=long kind=video codec=webm size=9000 @long session=s2 kind=audio codec=ogg @"$MEDIA/a.ogg":0,1,2,3,4,5,6 >all
	(ulimit -S -f 30 && exec msr-record -d st -e events --no-pictures -i all) # 30,720 bytes
	[ "$(count_events refused)" = 1 ]
	[ "$(jq .parts st/long.json)" = 3 ]
	[ -s st/s2.mp3 ]
	no_hidden_files
}

@test "a full disk stops everything and nothing is lost" {
	unshare -rm true 2>/dev/null || skip "no user namespaces here"
	open_fifo
	mkdir st out
	# shellcheck disable=SC2016 # expands in the inner shell
	start record unshare -rm sh -c 'exec 9>&-; mount -t tmpfs -o size=300k tmpfs st && head -c 150000 /dev/zero >st/ballast &&
		{ msr-record -d st -e events --audio wav --no-pictures -i fifo & } && until [ -e make-space ]; do sleep 0.1; done &&
		mount -o remount,size=3m st && rm st/ballast && wait $! && cp st/* out'
	give codec=s16le rate=48000 channels=2 size=9600 step=50000 @"$MEDIA/a.s16le":0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19
	wait_for 5 grep -q disk-full events
	[ "$(count_events disk-full)" = 1 ]
	touch make-space
	wait_for 10 grep -q disk-ok events
	exec 9>&-
	wait "$PID"
	mv out/* st
	ffmpeg -v error -i st/s1.wav -f s16le - | cmp - <(head -c $((20 * 9600)) "$MEDIA/a.s16le")
}

# ---- rings: what is published is stored exactly once, whoever is killed ----

# A ring of this test alone.
ring_name() {
	RING=record-$$-$BATS_TEST_NUMBER
}

@test "a ring: recordings wait for the next start, and closed ones are finished" {
	ring_name
	frames codec=ogg @"$MEDIA/a.ogg" session=s2 @"$MEDIA/a.ogg" close | msr-frames filter -o "shm:$RING"
	recorder -i "shm:$RING"
	wait_for 10 test -s st/s2.json
	kill "$PID"
	wait "$PID"
	[ -s st/.s1.audio.part ]
	[ ! -e st/s1.json ]
	frames part=100 codec=ogg session=s1 close | msr-frames filter -o "shm:$RING"
	recorder -i "shm:$RING"
	wait_for 10 test -s st/s1.json
	kill "$PID"
	wait "$PID"
	msr-frames rm "shm:$RING"
	good_file s1.mp3 3
	good_file s2.mp3 3
	no_hidden_files
}

@test "kill -9 of the recorder at random moments: every part exactly once" {
	local i words=(codec=s16le rate=48000 channels=2 size=3840 step=20000)
	ring_name
	# Ten sessions in turns, in real time: 3 s, and a part of all each 20 ms.
	for i in 0 1 2 3 4 5 6 7 8 9; do
		frames time=1000000000 session=s$i "${words[@]}" @"$MEDIA/a.s16le" >one.$i
	done
	$PYTHON - <<-'EOF' >all
		import sys
		files = [open(f"one.{i}", "rb").read() for i in range(10)]
		size = len(files[0]) // 150
		for at in range(0, len(files[0]), size):
		    for f in files:
		        sys.stdout.buffer.write(f[at:at + size])
	EOF
	frames time=1003000000 session=s0 close session=s1 close session=s2 close session=s3 close session=s4 close \
		session=s5 close session=s6 close session=s7 close session=s8 close session=s9 close >>all
	start replay msr-frames replay -i all -o "shm:$RING"
	local replay=$PID
	while ! is_gone "$replay"; do
		recorder --audio wav --no-pictures -i "shm:$RING"
		# Random moments are what this is about.
		sleep "0.$((RANDOM % 4))$((RANDOM % 10))"
		kill -9 "$PID"
		wait_gone "$PID"
	done
	recorder --audio wav --no-pictures -i "shm:$RING"
	for i in 0 1 2 3 4 5 6 7 8 9; do
		wait_for 90 test -s st/s$i.json
	done
	kill "$PID"
	wait "$PID"
	msr-frames rm "shm:$RING"
	for i in 0 1 2 3 4 5 6 7 8 9; do
		ffmpeg -v error -i st/s$i.wav -f s16le - | cmp - "$MEDIA/a.s16le"
		[ "$(jq -c '[.parts, .missing, .duplicates]' st/s$i.json)" = '[150,0,0]' ]
	done
	no_hidden_files
	[ "$(find st -name '*~*' | wc -l)" = 0 ]
}

@test "kill -9 of the producer, which sends everything again: still exactly once" {
	ring_name
	frames codec=s16le rate=48000 channels=2 size=3840 step=20000 @"$MEDIA/a.s16le" close >all
	recorder --audio wav -i "shm:$RING"
	local record=$PID
	for _ in 1 2 3; do
		start replay msr-frames replay -i all -o "shm:$RING"
		sleep "0.$((RANDOM % 6))$((RANDOM % 10))" # a random moment
		kill -9 "$PID"
		wait_gone "$PID"
	done
	msr-frames filter -i all -o "shm:$RING"
	wait_for 10 test -s st/s1.json
	kill "$record"
	wait "$record"
	msr-frames rm "shm:$RING"
	ffmpeg -v error -i st/s1.wav -f s16le - | cmp - "$MEDIA/a.s16le"
	[ "$(jq -c '[.parts, .missing]' st/s1.json)" = '[150,0]' ]
}

@test "kill -9 while it finishes, at random moments: every recording once, nothing left over" {
	local i json words=()
	for i in 1 2 3 4 5; do
		words+=("session=s$i" codec=ogg part=0 "@$MEDIA/a.ogg" close)
	done
	ring_name
	frames "${words[@]}" session=v kind=video codec=webm part=0 @"$MEDIA/av.webm" close | msr-frames filter -o "shm:$RING"
	for i in 1 2 3 4 5 6 7 8; do
		start record msr-record -d st -e events -i "shm:$RING"
		sleep "0.$((RANDOM % 8))$((RANDOM % 10))" # a random moment
		kill -9 "$PID"
		wait_gone "$PID"
	done
	msr-record --recover -d st -e events
	[ "$(msr-frames stat -j "shm:$RING" | jq '.head == .tail')" = true ]
	msr-frames rm "shm:$RING"
	[ "$(find st -name '*.json' | wc -l)" = 6 ]
	[ "$(find st -name '*~*' | wc -l)" = 0 ]
	for json in st/*.json; do
		good_file "$(jq -r .file "$json")" 3
	done
	no_hidden_files
	# Children die with their parent.
	wait_for 5 no_process_on "$PWD/st"
}

no_process_on() {
	! pgrep -f "file:$1"
}

@test "two sources are read in turns" {
	ring_name
	frames session=a codec=ogg @"$MEDIA/a.ogg" close | msr-frames filter -o "shm:$RING"
	frames session=b codec=ogg @"$MEDIA/a.ogg" close >file
	recorder -i file -i "shm:$RING"
	wait_for 10 test -s st/a.json
	wait_for 10 test -s st/b.json
	kill "$PID"
	wait "$PID"
	msr-frames rm "shm:$RING"
	good_file a.mp3 3
	good_file b.mp3 3
}

@test "with --sync nothing is acknowledged before it is safe" {
	ring_name
	frames codec=ogg @"$MEDIA/a.ogg" close | msr-frames filter -o "shm:$RING"
	recorder --sync 50 -i "shm:$RING"
	wait_for 10 test -s st/s1.json
	[ "$(msr-frames stat -j "shm:$RING" | jq '.head == .tail')" = true ]
	kill "$PID"
	wait "$PID"
	msr-frames rm "shm:$RING"
	good_file s1.mp3 3
}

@test "wrong usage says what to do" {
	run msr-record --audio vorbis
	[ "$status" -eq 2 ]
	[[ $output == *"--audio is mp3"* ]]
	run msr-record -i /nonexistent/fifo -d st
	[ "$status" -eq 1 ]
	[[ $output == *"create it with mkfifo"* ]]
	run msr-record file
	[ "$status" -eq 2 ]
}
