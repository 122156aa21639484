#!/usr/bin/env bats
# Recordings of calls: RTP and RTCP in, files that play out. The call is a flash and a beep each second.
# takes 90 s

bats_require_minimum_version 1.5.0
load ../support/common

setup_file() {
	load ../support/common
	export CALL_MEDIA=$BATS_FILE_TMPDIR/media
	$PYTHON "$SUPPORT/call.py" media --seconds 10 --size 160x120 >"$CALL_MEDIA"
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	mkdir storage
}
teardown() {
	exec 7>&- # a pipe that a failed test left open would keep its reader
	stop_all
}

call() { $PYTHON "$SUPPORT/call.py" make --media "$CALL_MEDIA" --session anna --size 160x120 "$@"; }
record() { msr-record -d storage --no-pictures -i - 2>log; }
measured() { $PYTHON "$SUPPORT/call.py" measure "$1" >measured.json && cat measured.json; }

# holds EXPRESSION: about measured.json, where `m` is what was measured.
holds() {
	$PYTHON - "$1" <<-'EOF_'
		import json, sys
		m = json.load(open('measured.json'))
		if not eval(sys.argv[1]):
		    sys.exit(f'does not hold: {sys.argv[1]}: {m}')
	EOF_
}

@test "sound and picture are in sync, complete and without an error" {
	call --seconds 6 | record
	measured storage/anna.webm
	holds "m['streams'] == ['vp8', 'opus'] and m['errors'] == ''"
	holds "m['frames'] == 180 and len(m['beeps']) == 6 and len(m['flashes']) == 6"
	holds "m['worst_ms'] <= 40 and abs(m['duration'] - 6) <= 0.1"
	run -0 mkvmerge --identify storage/anna.webm
	[[ $output == *"video (VP8)"*"audio (Opus)"* ]]
	jq -e '.missing == 0 and .width == 160' storage/anna.json
}

@test "H.264 goes to Matroska, VP9 to WebM" {
	call --seconds 3 --video h264 | record
	call --seconds 3 --video vp9 --session berta | record
	measured storage/anna.mkv
	holds "m['streams'] == ['h264', 'opus'] and m['errors'] == '' and m['worst_ms'] <= 40 and m['frames'] == 90"
	measured storage/berta.webm
	holds "m['streams'] == ['vp9', 'opus'] and m['errors'] == '' and m['worst_ms'] <= 40 and m['frames'] == 90"
}

@test "AV1 goes to WebM" {
	call --seconds 2 --video av1 | record
	measured storage/anna.webm
	holds "m['streams'] == ['av1', 'opus'] and m['errors'] == '' and m['worst_ms'] <= 40 and m['frames'] == 60"
}

# Sizes of a file's pictures, each with the number of those in a row that have it.
sizes_of() {
	ffprobe -v error -select_streams v -show_entries frame=width,height -of csv=p=0:s=x "$1" | grep -o '^[0-9]*x[0-9]*' | uniq -c | xargs
}

@test "a picture that changes its size stays one picture, in every codec" {
	for codec in vp8 vp9 av1 h264; do
		call --seconds 2 --video $codec --then 320x180 --only video --session $codec | record
		file=storage/$codec.webm
		[ $codec != h264 ] || file=storage/h264.mkv
		measured "$file"
		holds "m['errors'] == '' and m['frames'] == 60 and [round(f, 1) for f in m['flashes']] == [0, 1]"
		[ "$(sizes_of "$file")" = "30 160x120 30 320x180" ]
		jq -e '.missing == 0' "storage/$codec.json"
		[ ! -e "storage/$codec~2.json" ]
	done
}

@test "a mute is time, whether RTP time went on or stood still" {
	call --seconds 6 --mute 2 4 | record
	call --seconds 6 --mute 2 4 --frozen --session berta | record
	for name in anna berta; do
		measured storage/$name.webm
		holds "abs(m['duration'] - 6) <= 0.1 and abs(m['sound'] - 6) <= 0.1 and m['worst_ms'] <= 40"
		holds "[round(b) for b in m['beeps']] == [0, 1, 4, 5]"
	done
}

@test "a network that stood still is not a mute" {
	call --seconds 8 --stall 3 5.5 --jitter 30 | record
	measured storage/anna.webm
	holds "len(m['beeps']) == 8 and m['worst_ms'] <= 40 and abs(m['duration'] - 8) <= 0.1"
}

@test "a picture that comes later than its sound is put right by sender reports" {
	call --seconds 8 --video-delay 150 | record
	measured storage/anna.webm
	holds "max(abs(d) for d in m['skew_ms'][1:]) <= 40"
}

@test "senders without a clock, or whose clock is set, stay in sync" {
	for clock in none set; do
		call --seconds 8 --clock $clock --session $clock | record
		measured storage/$clock.webm
		holds "len(m['flashes']) == 8 and m['worst_ms'] <= 40 and abs(m['duration'] - 8) <= 0.1"
	done
}

@test "a packet that comes again after the network stood still finds its place" {
	mkfifo fifo
	exec 7<>fifo
	start record sh -c 'exec 7>&-; exec "$@"' sh msr-record -d storage --no-pictures --audio opus -i fifo
	# All but one packet, and nothing for two seconds, in which msr-record does not give that one up.
	call --seconds 1 --only audio --no-reports --open-end >all
	call --seconds 1 --only audio --no-reports --open-end --lose 0.5 >lossy
	call --seconds 1 --begin 2 --only audio --no-reports >end
	$PYTHON - "$SUPPORT" <<-'EOF'
		import sys
		sys.path.insert(0, sys.argv[1])
		import call
		have = [r for _, r in call.records(open('lossy', 'rb').read())]
		open('late', 'wb').write(b''.join(r for _, r in call.records(open('all', 'rb').read()) if r not in have))
	EOF
	[ -s late ]
	cat lossy >&7
	sleep 2.1 # a time in which nothing happens is what is tested
	cat late end >&7
	exec 7>&-
	ended_well "$PID"
	jq -e '.missing == 0' storage/anna.json
}

@test "with lost packets what is there is in sync and decodes" {
	call --seconds 10 --loss 2 --jitter 50 | record
	measured storage/anna.webm
	holds "m['errors'] == '' and abs(m['duration'] - 10) <= 0.1 and m['worst_ms'] <= 40"
	jq -e '.missing > 0 and (.gaps | length) > 0 and ([.gaps[].missing] | add) <= .missing' storage/anna.json
	jq -e 'all(.gaps[]; .missing > 0 and .at >= 0 and .at <= 12 and (.kind == "audio" or .kind == "video"))' storage/anna.json
}

@test "a picture that lost something is left out up to the next key frame, in every codec" {
	for codec in vp8 vp9 av1 h264; do
		call --seconds 4 --video $codec --lose 0.5 --only video --session $codec | record
		file=storage/$codec.webm
		[ $codec != h264 ] || file=storage/h264.mkv
		measured "$file"
		# A key frame comes every two seconds: of the first are there 15 of 60 pictures.
		holds "m['errors'] == '' and m['frames'] == 75 and [round(f, 1) for f in m['flashes']] == [0, 2, 3]"
	done
}

@test "a marker on every packet cuts no picture, in every codec" {
	for codec in vp8 vp9 av1 h264; do
		call --seconds 3 --video $codec --markers --session $codec | record
		file=storage/$codec.webm
		[ $codec != h264 ] || file=storage/h264.mkv
		measured "$file"
		holds "m['errors'] == '' and m['frames'] == 90 and m['worst_ms'] <= 40 and len(m['flashes']) == 3"
	done
}

@test "what a call lost within a second is one gap, told once" {
	call --seconds 8 --only audio --lose 2 2.02 2.1 5 | msr-record -d storage -e events -i - 2>log
	jq -e '.missing == 4 and [.gaps[] | [.kind, .missing]] == [["audio", 3], ["audio", 1]]' storage/anna.json
	jq -e '(.gaps[0].at - 2 | fabs) < 0.1 and (.gaps[1].at - 5 | fabs) < 0.1' storage/anna.json
	[ "$(jq -c 'select(.ev == "gap")' events | wc -l)" -eq 2 ]
}

@test "a disk that is full in the middle of a call, and a recorder that stood still, cost a ring nothing" {
	unshare -rm true 2>/dev/null || skip "no user namespaces here"
	ring=rtp-$$-$RANDOM
	call --seconds 6 >all # 127 KB
	mkdir out
	# shellcheck disable=SC2016 # expands in the inner shell
	start record unshare -rm sh -c 'mount -t tmpfs -o size=60k tmpfs storage && { msr-record -d storage --no-pictures -e events -i "shm:$1" & } &&
		until grep -q disk-full events; do sleep 0.1; done; cp storage/.anna.rtp.part full; kill -STOP $!; mount -o remount,size=3m storage; sleep 2
		kill -CONT $!; until [ -s storage/anna.json ]; do sleep 0.1; done; kill $!; wait $! && cp storage/* out' - "$ring"
	msr-frames replay -i all -o "shm:$ring"
	wait_for 180 test -s out/anna.json
	ended_well "$PID"
	msr-frames rm "shm:$ring"
	measured out/anna.webm
	holds "m['errors'] == '' and m['frames'] == 180 and len(m['beeps']) == 6 and m['worst_ms'] <= 40"
	jq -e '.missing == 0 and .duration == 6' out/anna.json
	# What was there while it was full plays, but for the block in which it ends.
	measured full
	holds "m['frames'] > 30 and m['worst_ms'] <= 40"
}

@test "what a full ring left out is a gap, also one so long that RTP numbers do not tell of it" {
	for hole in 10 200; do # 50 packets a second
		call --seconds 6 --no-reports --hole 4 $hole --session hole$hole | record
		measured storage/hole$hole.webm
		holds "m['errors'] == '' and m['frames'] == 180 and len(m['beeps']) == 6 and m['worst_ms'] <= 40"
		holds "abs(m['duration'] - 6 - $hole) <= 0.1 and abs(m['sound'] - 6 - $hole) <= 0.1"
		jq -e ".missing == 100 * $hole and [.gaps[] | [.kind, .missing]] == [[\"audio\", 50 * $hole], [\"video\", 50 * $hole]]" \
			storage/hole$hole.json
		jq -e 'all(.gaps[]; (.at - 4 | fabs) <= 0.1)' storage/hole$hole.json
	done
}

@test "what a full ring left out of a page that was loaded again is a gap of its own" {
	call --seconds 6 --no-reports --open-end >before
	call --seconds 6 --no-reports --begin 6 --anew --hole 4 200 >after
	cat before after | record
	jq -e '.missing == 20000 and [.gaps[] | [.kind, .missing]] == [["audio", 10000], ["video", 10000]]' storage/anna.json
	jq -e 'all(.gaps[]; (.at - 10 | fabs) <= 0.2)' storage/anna.json
}

@test "what a full ring left out of a camera that is not recorded is no gap in the one that is" {
	call --seconds 6 --only video --no-reports --open-end --hole 4 2 >old
	call --seconds 8 --only video --no-reports --begin 1.01 --anew >new
	merged old new | record
	measured storage/anna.webm
	holds "m['errors'] == '' and m['frames'] == 31 + 240"
	jq -e '.missing == 0' storage/anna.json
}

@test "sound alone becomes mp3, as long as the call, with its mute" {
	call --seconds 8 --only audio --mute 3 6 | record
	measured storage/anna.mp3
	holds "abs(m['sound'] - 8) <= 0.15 and len(m['beeps']) == 5"
}

@test "kill -9 leaves a file that plays, and the next start finishes it" {
	mkfifo in
	call --seconds 6 --open-end >frames
	start record msr-record -d storage -i in
	exec 7>in
	cat frames >&7
	part=storage/.anna.rtp.part
	wait_for 10 test -s "$part"
	# All but what still gathers in memory has been written.
	wait_for 10 sh -c "ffprobe -v error -show_entries packet=pts_time -of csv=p=0 -select_streams a '$part' | tail -n 1 | grep -q '^[56]'"
	kill -9 "$PID"
	exec 7>&-
	measured "$part"
	holds "m['worst_ms'] <= 40 and m['frames'] >= 150"
	msr-record --recover -d storage 2>log
	measured storage/anna.webm
	holds "abs(m['duration'] - 6) <= 1 and m['errors'] == ''"
}

@test "a recorder that is killed and started again goes on with the same file" {
	ring=rtp-$$-$RANDOM
	call --seconds 6 --open-end >frames
	msr-frames filter -n "$(($(msr-frames json <frames | wc -l) / 2))" <frames >first
	tail -c +"$(($(stat -c %s first) + 1))" frames >second
	start record msr-record -d storage -i "shm:$ring"
	msr-frames filter -o "shm:$ring" <first
	wait_for 10 sh -c "ffprobe -v error -show_entries packet=pts_time -of csv=p=0 -select_streams a storage/.anna.rtp.part | grep -q '^2[.]8'"
	kill -9 "$PID"
	wait_gone "$PID"
	msr-frames filter -o "shm:$ring" <second
	start again msr-record -d storage -i "shm:$ring"
	wait_for 10 sh -c "ffprobe -v error -show_entries packet=pts_time -of csv=p=0 -select_streams a storage/.anna.rtp.part | grep -q '^5[.]8'"
	kill -9 "$PID"
	wait_gone "$PID"
	msr-record --recover -d storage 2>log
	measured storage/anna.webm
	holds "m['errors'] == '' and len(m['beeps']) == 6 and m['worst_ms'] <= 60 and abs(m['duration'] - 6) <= 0.2"
	rm -f /dev/shm/*"$ring"*
	[ ! -e storage/anna~2.webm ]
}

@test "a recorder that is started again goes on behind what is in the file, also where that is ahead of its arrival" {
	mkfifo in
	exec 7<>in
	recorder() { start record sh -c 'exec 7>&-; exec "$@"' sh msr-record -d storage --no-pictures --video mkv --follow -i in; }
	# The first packets are 300 ms late: what follows lies so much later in the file than it came.
	call --seconds 3 --stall 0 0.3 --no-reports --open-end >frames
	call --seconds 2 --begin 3 --no-reports >second
	recorder
	cat frames >&7
	wait_for 10 sh -c "ffprobe -v error -show_entries packet=pts_time -of csv=p=0 -select_streams a storage/.anna.rtp.part | grep -q '^2[.]9[78]'"
	kill -9 "$PID"
	wait_gone "$PID"
	recorder
	cat second >&7
	wait_for 20 test -s storage/anna.json
	exec 7>&-
	# No sound lies on that from before.
	ffprobe -v error -show_entries packet=pts_time -of csv=p=0 -select_streams a storage/anna.mkv |
		awk '{ if (NR > 1 && $1 - before < 0.015) { print before, $1; bad = 1 } before = $1 } END { exit bad }'
}

@test "a packet missing at the very end is counted" {
	call --seconds 2 --only video --no-reports >all
	n=$(msr-frames json <all | wc -l)
	msr-frames filter -n $((n - 3)) <all >before
	msr-frames filter -n $((n - 2)) <all >with
	{
		cat before
		tail -c +$(($(stat -c %s with) + 1)) all
	} | record
	jq -e '.missing == 1 and .gaps[0].kind == "video" and .gaps[0].missing == 1' storage/anna.json
}

@test "who ends a recording of their own in a call does not end that of the call" {
	mkfifo call own
	call --seconds 4 --storage anna >all
	msr-frames filter -n "$(($(msr-frames json <all | wc -l) / 2))" <all >first
	tail -c +"$(($(stat -c %s first) + 1))" all >second
	start record msr-record -d storage -i call -i own
	exec 7>call
	cat first >&7
	wait_for 10 test -s storage/.anna.rtp.part
	head -c 96000 /dev/zero | msr-frames make --room r --session anna --codec s16le >own
	wait_for 10 sh -c 'ls storage/anna*.json'
	cat second >&7
	exec 7>&-
	ended_well "$PID"
	measured storage/anna.webm
	holds "m['frames'] == 120 and len(m['beeps']) == 4 and m['errors'] == ''"
}

merged() { $PYTHON "$SUPPORT/call.py" merge "$@"; }

@test "of two cameras at once one is recorded, whole" {
	call --seconds 4 >first
	call --seconds 4 --only video --colour navy >second
	merged first second | record
	measured storage/anna.webm
	holds "m['streams'] == ['vp8', 'opus'] and m['errors'] == '' and m['frames'] >= 120"
	holds "len(m['flashes']) == 4 and m['worst_ms'] <= 40"
}

@test "two cameras at once with different codecs do not make a file of each packet" {
	call --seconds 4 >first
	call --seconds 4 --only video --video h264 >second
	merged first second | record
	measured storage/anna~2.mkv
	holds "m['streams'] == ['h264', 'opus'] and m['errors'] == '' and m['frames'] == 120"
	[ ! -e storage/anna~3.json ]
}

# Where its beeps are in raw sound of 48 kHz, in tenths of a second.
beeps_of() {
	$PYTHON -c "
import numpy as np, sys
x = np.abs(np.fromfile('$1', np.int16).astype(int))
loud = x[:len(x) // 480 * 480].reshape(-1, 480).max(axis=1) > 4000
print(len(x) / 48000, [round(i / 100, 1) for i in np.flatnonzero(loud[1:] & ~loud[:-1]) + 1])"
}

# Seconds of such sound in a file.
at_least() {
	[ "$(stat -c %s "$2")" -ge $((48000 * 2 * $1)) ]
}

@test "a recording starts with its first picture that can be shown" {
	call --seconds 4 --only video >all
	msr-frames filter -n 30 <all >beginning # without a key frame until 2 s
	tail -c +"$(($(stat -c %s beginning) + 1))" all | record
	jq -e '.start == "2025-06-15T15:06:42.000000Z"' storage/anna.json
	measured storage/anna.webm
	holds "[round(f, 1) for f in m['flashes']] == [0.0, 1.0] and m['errors'] == ''"
}

@test "the sound of one participant goes live into a command, everything else goes on" {
	call --media '' --seconds 6 --room lobby --session ann --mute 2 4 >ann.frames # with the encoder's last packet
	call --seconds 3 --room lobby --session bob --hz 400 >bob.frames
	call --seconds 2 --room lobby --session ann --storage screen >screen.frames
	cat bob.frames screen.frames ann.frames >all
	listen=$BATS_TEST_DIRNAME/../../examples/listen-live
	"$listen" lobby ann -- sh -c 'cat >heard; echo done' <all >out 2>log
	cmp all out
	grep -q '^done$' log
	run -0 beeps_of heard
	[[ $output == "6.0 [1.0, 4.0, 5.0]" ]] # it begins with one
	# As it is said, not at the end: the first beeps are there while the pipe is open.
	mkfifo in
	# Ctrl-C reaches all of a pipeline, and a program above has its last frames after it.
	start live "$PYTHON" -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell has it ignored in the background
os.setsid()
os.dup2(os.open("in", os.O_RDONLY), 0)
os.dup2(os.open("passed", os.O_WRONLY | os.O_CREAT), 1)
os.execv(sys.argv[1], sys.argv[1:])' "$listen" lobby ann -- sh -c 'cat >live'
	exec 7>in
	cat ann.frames >&7
	wait_for 20 at_least 5 live
	kill -INT -- "-$PID"
	cat bob.frames >&7
	exec 7>&-
	ended_well "$PID"
	cat ann.frames bob.frames | cmp - passed
	# A command that cannot be started stops nobody.
	"$listen" lobby ann -- ./there-is-none <all >out 2>log
	cmp all out
}

@test "at a file size limit a call goes on in another file, with all of its sound" {
	call --size 320x240 --seconds 8 >all
	(ulimit -S -f 150 && exec msr-record -d storage --no-pictures -i all 2>log) # KiB; it has 250
	[ -s storage/anna~2.webm ]
	for file in storage/anna*.webm storage/anna*.mp3; do # the last of it may be sound alone
		[ -e "$file" ] || continue
		measured "$file"
		holds "m['errors'] == '' and m.get('worst_ms', 0) <= 40"
		jq .sound measured.json >>sounds
	done
	jq -es '(add - 8 | fabs) <= 0.15' sounds
}

@test "garbage instead of RTP disturbs nobody" {
	$PYTHON - "$SUPPORT" >garbage <<-'EOF_'
		import random, sys
		sys.path.insert(0, sys.argv[1])
		import call
		random.seed(5)
		for i in range(300):
		    body = bytes(random.randrange(256) for _ in range(random.randrange(1, 60)))
		    if i % 2:
		        body = b'\x80\x60' + i.to_bytes(2, 'big') + bytes(8) + body
		    codec = random.choice([32, 33])
		    sys.stdout.buffer.write(call.record(5 + i % 3 // 2, codec, body, call.START_US + i * 1000, i, 0, 'r', 'mallory'))
	EOF_
	call --seconds 3 >good
	cat garbage good garbage | record || true # what mallory sent need not be convertible
	measured storage/anna.webm
	holds "m['worst_ms'] <= 40 and m['frames'] == 90"
}
