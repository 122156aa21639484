#!/usr/bin/env bats
# msr-record(8) in trouble: kill -9, full disks, abandoned sessions; rings and what survives in them.
# takes 120 s

load ../support/record

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

# The recorder has so many open: has_journals NUMBER
has_journals() {
	[ "$(find "/proc/$PID/fd" -lname '*.journal' | wc -l)" -eq "$1" ]
}

@test "kill -9 leaves files that play, and --recover finishes them" {
	local size=96000
	open_fifo
	recorder -i fifo
	give codec=s16le rate=48000 channels=2 size=$size step=500000 @"$MEDIA/a.s16le"
	give session=av kind=video codec=webm @"$MEDIA/av.webm":0,1,2,3,4,5,6,7,8,9,10
	wait_for 60 has_bytes s1.audio $((6 * size))
	wait_for 60 has_bytes av.video 45000
	sleep 1.1 # the header of growing PCM is at most a second old: the time is what is tested
	kill -9 "$PID"
	wait_gone "$PID"
	ffprobe -v error -show_entries format=duration -of csv=p=0 st/.s1.audio.part | near 3 0.01
	# It ends in the middle of a cluster, and of nothing else may ffmpeg complain: its status is 0 all the same.
	ffmpeg -v error -i st/.av.video.part -fps_mode passthrough -f null - 2>errors
	[ "$(grep -vc 'File ended prematurely' errors)" = 0 ]
	# Where nothing can be written they cannot even be ended: they are left, and that is no success.
	run sh -c 'ulimit -S -f 0 && exec msr-record --recover -d st'
	[ "$(grep -c "File too large; it is left for the next start" <<<"$output")" = 2 ]
	[ "$status" -eq 1 ]
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
	wait_for 60 has_bytes s1.audio 288000
	kill -9 "$PID"
	wait_gone "$PID"
	# Of two with the same sound one goes on, and the other is to end: where that cannot be it is closed all the same.
	for file in journal audio.part; do
		cp st/.s1.$file st/.s1~2.$file
	done
	mkfifo log
	exec 8<>log
	start record sh -c 'exec 8>&- 9>&-; ulimit -S -f 0; exec msr-record -d st -i fifo 2>log'
	timeout 60 grep -q "it is left for the next start" <&8
	wait_for 10 has_journals 1
	kill -9 "$PID"
	wait_gone "$PID"
	rm st/.s1~2.*
	recorder --audio wav --follow -i fifo
	# A part that is stored already comes again.
	give codec=s16le rate=48000 channels=2 size=96000 step=500000 time=1001500000 @"$MEDIA/a.s16le":2,3,4,5 close
	finished s1
	good_file s1.wav 3 0.001
	ffmpeg -v error -i st/s1.wav -f s16le - | cmp - "$MEDIA/a.s16le"
	[ "$(jq .duplicates st/s1.json)" = 1 ]
}

@test "a part that cannot be opened now is left for the next start, with all of its recording" {
	local kind
	open_fifo
	recorder -i fifo
	give codec=ogg size=2000 @"$MEDIA/a.ogg" kind=video codec=webm part=0 @"$MEDIA/v.webm"
	wait_for 60 has_bytes s1.audio "$(stat -c %s "$MEDIA/a.ogg")"
	wait_for 60 has_bytes s1.video "$(stat -c %s "$MEDIA/v.webm")"
	kill -9 "$PID"
	wait_gone "$PID"
	for kind in video audio; do
		# A folder in its place cannot be opened as a file, whoever tries.
		mv st/.s1.$kind.part aside
		mkdir st/.s1.$kind.part
		run msr-record --recover -d st -e events
		[ "$status" -eq 1 ]
		rmdir st/.s1.$kind.part
		mv aside st/.s1.$kind.part
		[ -z "$(find st -type f -name '[!.]*')" ]
	done
	msr-record --recover -d st -e events
	[ "$(codecs st/s1.json | tr ' ' '\n' | sort | xargs)" = "opus vp8" ]
	no_hidden_files
}

@test "a part of which nothing had reached the journal is begun anew" {
	open_fifo
	recorder -i fifo
	give codec=ogg @"$MEDIA/a.ogg"
	wait_for 60 has_bytes s1.audio "$(stat -c %s "$MEDIA/a.ogg")"
	kill -9 "$PID"
	wait_gone "$PID"
	echo junk >st/.s1.video.part
	recorder --follow -i fifo
	give codec=webm kind=video @"$MEDIA/v.webm" close
	finished s1
	[ "$(codecs st/s1.json | tr ' ' '\n' | sort | xargs)" = "opus vp8" ]
}

@test "a part that lost its end with the machine ends there, and what is sent again is stored" {
	local size=96000
	open_fifo
	recorder -i fifo
	give codec=s16le rate=48000 channels=2 size=$size step=500000 @"$MEDIA/a.s16le":0,1,2,3
	wait_for 60 has_bytes s1.audio $((4 * size))
	kill -9 "$PID"
	wait_gone "$PID"
	# The journal reached the disk, and of the sound only the first two parts.
	truncate -s $((2 * size + $(stat -c %s st/.s1.audio.part) - 4 * size)) st/.s1.audio.part
	recorder --audio wav --no-pictures --follow -i fifo
	give codec=s16le rate=48000 channels=2 size=$size step=500000 @"$MEDIA/a.s16le":2,3,4,5 close
	finished s1
	finished s1~2
	for name in s1 s1~2; do
		ffmpeg -v error -i st/$name.wav -f s16le -
	done | cmp - "$MEDIA/a.s16le"
	no_hidden_files
}

@test "a recording that is open in one process is left alone by another" {
	open_fifo
	recorder -i fifo
	give codec=ogg @"$MEDIA/a.ogg":0,1,2
	wait_for 60 has_bytes s1.audio 10000
	msr-record --recover -d st -e events2
	record -- codec=ogg @"$MEDIA/a.ogg" close
	good_file s1~2.mp3 3
	give codec=ogg @"$MEDIA/a.ogg":3,4,5,6,7,8,9 close
	finished s1
	good_file s1.mp3 3
}

@test "abandoned sessions end after --idle, silent ones after --max-pause" {
	open_fifo
	recorder -i fifo
	give codec=ogg @"$MEDIA/a.ogg"
	wait_for 60 has_bytes s1.audio 20000
	kill -9 "$PID"
	wait_gone "$PID"
	recorder --idle 100ms --grace 100ms -i fifo
	finished s1
	kill "$PID"
	wait_gone "$PID"
	recorder --max-pause 100ms -i fifo
	give session=s2 codec=ogg @"$MEDIA/a.ogg"
	finished s2
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

@test "an ffmpeg that crashes over the picture does not keep the recording from being finished" {
	mkdir bin
	cat >bin/ffmpeg <<-'EOF'
		#!/bin/sh
		case " $* " in *" mjpeg "*) kill -SEGV $$ ;; esac
		exec /usr/bin/ffmpeg "$@"
	EOF
	chmod +x bin/ffmpeg
	PATH=$PWD/bin:$PATH record -- kind=video codec=webm @"$MEDIA/av.webm" close
	good_file s1.webm 3
	[ "$(jq .poster st/s1.json)" = null ]
	no_hidden_files
}

@test "an ffmpeg that is killed each time over the conversion is at last asked for less" {
	mkdir bin
	cat >bin/ffmpeg <<-'EOF'
		#!/bin/sh
		case " $* " in *" mjpeg "*) kill -9 $$ ;; esac
		exec /usr/bin/ffmpeg "$@"
	EOF
	chmod +x bin/ffmpeg
	PATH=$PWD/bin:$PATH record -- kind=video codec=webm @"$MEDIA/av.webm" close
	good_file s1.webm 3
	[ "$(jq .poster st/s1.json)" = null ]
}

# cannot_finish PROGRAM MESSAGE: records while PROGRAM ends with MESSAGE each time; the part is kept
cannot_finish() {
	mkdir bin
	printf '#!/bin/sh\necho "%s" >&2\nexit 1\n' "$2" >"bin/$1"
	chmod +x "bin/$1"
	local ended=0
	PATH=$PWD/bin:$PATH record -- codec=ogg @"$MEDIA/a.ogg" close || ended=$?
	[ "$ended" -eq 1 ] || return 1
	jq -r 'select(.ev == "finish-failed") | .message' events | grep -q "$2" || return 1
	cmp st/.s1.audio.part "$MEDIA/a.ogg"
}

@test "what cannot be finished is finished by the next start" {
	cannot_finish ffmpeg "no such encoder"
	[ ! -e st/s1.json ]
	msr-record --recover -d st -e events
	good_file s1.mp3 3
	no_hidden_files
}

@test "a result that cannot be made safe on disk replaces nothing" {
	cannot_finish sync "error syncing: Input/output error"
	[ -z "$(find st -type f -name '[!.]*')" ]
	msr-record --recover -d st -e events
	good_file s1.mp3 3
	no_hidden_files
}

@test "a child that speaks of a full disk is understood in every language" {
	mkdir bin
	cat >bin/sync <<-'EOF'
		#!/bin/sh
		echo x >>tries
		[ "$(wc -l <tries)" -gt 1 ] && exit 0
		case ${LC_ALL:-$LANG} in
		C) echo "error syncing: No space left on device" >&2 ;;
		*) echo "Fehler: Auf dem Gerät ist kein Speicherplatz mehr verfügbar" >&2 ;;
		esac
		exit 1
	EOF
	chmod +x bin/sync
	LANG=de_DE.UTF-8 LC_ALL=de_DE.UTF-8 PATH=$PWD/bin:$PATH record -- codec=ogg @"$MEDIA/a.ogg" close
	[ "$(count_events disk-full)" = 1 ]
	good_file s1.mp3 3
}

# What an interruption between the media's final name and the metadata leaves: s1.mp3 and, hidden, journal, part
# and metadata. Somebody's file stands where the metadata is to go, so that it cannot be completed.
named_but_blocked() {
	mkdir bin
	printf '#!/bin/sh\nexit 1\n' >bin/ffmpeg
	chmod +x bin/ffmpeg
	PATH=$PWD/bin:$PATH run record --no-pictures -- codec=ogg @"$MEDIA/a.ogg" close
	mkdir kept
	cp st/.s1.* kept
	msr-record --recover --no-pictures -d st -e events
	mv st/s1.json kept/.s1.json
	mv kept/.s1.* st
	echo blocks >st/s1.json
}

@test "a recording that has its name keeps its metadata until that can be published" {
	named_but_blocked
	cp st/.s1.json metadata
	for _ in 1 2; do
		run msr-record --recover -d st -e events
		[ "$status" -eq 1 ]
		cmp st/.s1.json metadata
		[ "$(find st -type f -name '[!.]*' | sort | xargs)" = "st/s1.json st/s1.mp3" ]
	done
	rm st/s1.json events
	msr-record --recover -d st -e events
	good_file s1.mp3 3
	no_hidden_files
	# Whoever goes by the event learns as much as otherwise.
	[ "$(jq -c 'select(.ev == "finished") | [.duration, .sha256, .bytes]' events)" = "$(jq -c '[.duration, .sha256, .bytes]' st/s1.json)" ]
}

@test "a recording that has its name and waits for space keeps its metadata when it is stopped" {
	unshare -rm true 2>/dev/null || skip "no user namespaces here"
	named_but_blocked
	rm -r kept bin
	mv st full
	mkdir st
	# With less than a mebibyte free a failure is put down to the full disk.
	# shellcheck disable=SC2016 # expands in the inner shell
	start record unshare -rm sh -c 'mount -t tmpfs -o size=900k tmpfs st && cp -p full/* full/.s1* st && { msr-record --recover --grace 100ms -d st -e waits & } &&
		until grep -q disk-full waits; do sleep 0.1; done; kill $! && wait $!; cp st/.s1.json after'
	wait "$PID" || true
	cmp after full/.s1.json
}

@test "what could not be read survives an interruption between the names" {
	head -c 40000 /dev/urandom >noise
	mkdir bin kept
	printf '#!/bin/sh\nexit 1\n' >bin/ffmpeg
	chmod +x bin/ffmpeg
	PATH=$PWD/bin:$PATH run record --no-pictures -- session=av kind=video codec=webm @"$MEDIA/v.webm" \
		kind=audio codec=opus part=0 @noise close
	cp st/.av.* kept
	msr-record --recover --no-pictures -d st -e events
	# Back to where the media alone has its name.
	rm st/av.audio.part
	mv st/av.json kept/.av.json
	mv kept/.av.* st
	msr-record --recover -d st -e events
	cmp st/av.audio.part noise
	[ "$(jq -c .unread st/av.json)" = '["av.audio.part"]' ]
	no_hidden_files
}

@test "on SIGTERM a pipe is read to its end and its recordings are finished" {
	open_fifo
	recorder --grace 180s -i fifo
	give codec=ogg @"$MEDIA/a.ogg":0,1,2,3
	wait_for 60 has_bytes s1.audio 16000
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
	finished s2
	finished long~3
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
	run sh -c 'ulimit -S -f 60 && exec msr-record -d st -e events --no-pictures -i all' # 30,720 bytes, in units of sh
	[ "$status" -eq 1 ]
	[[ $output == *"session long: the file is as large as it may be here"* ]]
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
	wait_for 60 grep -q disk-full events
	[ "$(count_events disk-full)" = 1 ]
	touch make-space
	wait_for 60 grep -q disk-ok events
	[ "$(jq -r 'select(.ev == "disk-ok") | .message' events)" = "recording continues" ]
	exec 9>&-
	wait "$PID"
	mv out/* st
	ffmpeg -v error -i st/s1.wav -f s16le - | cmp - <(head -c $((20 * 9600)) "$MEDIA/a.s16le")
}

# A recording that waits to be finished, on a disk that is full: full_disk COMMANDS, which run there with st/ mounted,
# once msr-record --recover has said so; it is $!, and its log is record.log.
full_disk() {
	unshare -rm true 2>/dev/null || skip "no user namespaces here"
	cannot_finish ffmpeg "no such encoder"
	rm -r bin
	mv st full
	mkdir st out
	# shellcheck disable=SC2016 # expands in the inner shell
	start record unshare -rm sh -c 'mount -t tmpfs -o size=3m tmpfs st && cp -p full/.s1* st && { head -c 4000000 /dev/zero >st/ballast; true; } &&
		{ msr-record --recover --grace 600s -d st -e waits & } && until grep -q disk-full waits; do sleep 0.1; done && eval "$1"' - "$1"
}

@test "what waits for space to be finished is finished as soon as there is some" {
	full_disk 'rm st/ballast && wait $! && cp st/* out'
	ended_well "$PID"
	grep -q "there is space again" record.log # seen, not tried after a while
	[ "$(jq -r 'select(.ev | startswith("disk-")) | .ev, .session, .name' waits | tr '\n' ' ')" = "disk-full s1 s1 disk-ok s1 s1 " ]
	rmdir st
	mv out st
	good_file s1.mp3 3
}

@test "a recorder that is told to stop does not wait for space to finish what it has" {
	full_disk 'kill $! && wait $! && cp -p st/.s1* out'
	wait_gone "$PID" 180 # of 600 that it has
	ended_well "$PID"
	grep -q "'s1' still waits for space: it is left to the next start" record.log
	rmdir st
	mv out st
	msr-record --recover -d st
	good_file s1.mp3 3
	no_hidden_files
}

@test "a storage that becomes read-only stops everything and nothing is lost" {
	unshare -rm true 2>/dev/null || skip "no user namespaces here"
	mkdir st out
	open_fifo
	# What is open for writing keeps a file system from becoming read-only by hand: the first session begins after that.
	# shellcheck disable=SC2016 # expands in the inner shell
	start record unshare -rm sh -c 'exec 9>&-; mount -t tmpfs tmpfs st && { msr-record -d st -e events --audio wav --no-pictures -i fifo & } &&
		until [ -e events ]; do sleep 0.1; done && mount -o remount,ro st && touch read-only && until [ -e repaired ]; do sleep 0.1; done &&
		mount -o remount,rw st && wait $! && cp st/* out'
	wait_for 60 test -e read-only
	give codec=s16le rate=48000 channels=2 size=9600 step=50000 @"$MEDIA/a.s16le":0,1,2,3
	wait_for 60 grep -q disk-full events
	touch repaired
	wait_for 60 grep -q disk-ok events
	exec 9>&-
	wait "$PID"
	[ "$(count_events refused)" = 0 ]
	ffmpeg -v error -i out/s1.wav -f s16le - | cmp - <(head -c $((4 * 9600)) "$MEDIA/a.s16le")
}

@test "a storage that cannot be written is refused at the start" {
	unshare -rm true 2>/dev/null || skip "no user namespaces here"
	mkdir st
	frames codec=ogg @"$MEDIA/a.ogg" close >all
	run unshare -rm sh -c 'mount -t tmpfs -o ro tmpfs st && exec msr-record -d st -i - <all'
	[ "$status" = 1 ]
	[[ $output == *"cannot open the storage 'st': Read-only file system"* ]]
}

@test "a storage that is moved away takes along what was under way; the next recording has a new one" {
	open_fifo
	recorder -i fifo --no-pictures
	give codec=ogg session=s1 @"$MEDIA/a.ogg"
	wait_for 60 has_bytes s1.audio 1000
	mv st archive
	give codec=ogg session=s2 @"$MEDIA/a.ogg" close
	finished s2
	exec 9>&-
	if wait "$PID"; then return 1; fi # s1 could not be finished here, which is said
	[ "$(count_events finish-failed)" = 1 ]
	msr-record --recover -d archive
	[ -s archive/s1.json ]
	good_file s2.mp3 3
}

@test "on a full disk the metrics file still tells that it lives" {
	open_fifo
	metrics_on_full_disk batches_total msr-record -d st -i fifo
	exec 9>&-
	wait "$PID"
}

# ---- rings: what is published is stored exactly once, whoever is killed ----

# All that was published in it is in recordings.
all_is_safe() {
	[ "$(msr-frames stat -j "shm:$RING" | jq '.head == .tail')" = true ]
}

# A ring of this test alone.
ring_name() {
	RING=record-$$-$BATS_TEST_NUMBER
}

@test "a ring: recordings wait for the next start, and closed ones are finished" {
	ring_name
	frames codec=ogg @"$MEDIA/a.ogg" session=s2 @"$MEDIA/a.ogg" close | msr-frames filter -o "shm:$RING"
	recorder --idle 1h -i "shm:$RING"
	finished s2
	kill "$PID"
	wait "$PID"
	[ -s st/.s1.audio.part ]
	[ ! -e st/s1.json ]
	frames part=100 codec=ogg session=s1 close | msr-frames filter -o "shm:$RING"
	recorder -i "shm:$RING"
	finished s1
	kill "$PID"
	wait "$PID"
	msr-frames rm "shm:$RING"
	good_file s1.mp3 3
	good_file s2.mp3 3
	no_hidden_files
}

@test "a session whose producer is gone for good ends after --idle" {
	ring_name
	open_fifo
	recorder --idle 100ms --no-pictures -i "shm:$RING"
	local record=$PID
	wait_for 10 sh -c "msr-frames stat --json shm:$RING | jq -e .consumer"
	kill -STOP "$record" # so that the first frames are there before it sees who sends them
	start producer sh -c 'exec 9>&-; exec "$@"' sh msr-frames filter -i fifo -o "shm:$RING"
	give codec=ogg @"$MEDIA/a.ogg"
	wait_for 10 sh -c "msr-frames stat --json shm:$RING | jq -e '.records > 0'"
	kill -CONT "$record"
	wait_for 60 has_bytes s1.audio "$(stat -c %s "$MEDIA/a.ogg")"
	sleep 2.1 # that nothing happens is what is tested: a client in a pause sends nothing
	[ "$(count_events recording-stop)" = 0 ]
	kill -9 "$PID"
	finished s1
	[ "$(jq -r 'select(.ev == "recording-stop") | .reason' events)" = idle ]
	kill "$record"
	wait "$record"
	msr-frames rm "shm:$RING"
}

@test "a session that a producer left in its ring ends after --idle, also when the next one is there already" {
	ring_name
	frames codec=ogg @"$MEDIA/a.ogg" | msr-frames filter -o "shm:$RING"
	open_fifo
	start producer sh -c 'exec 9>&-; exec "$@"' sh msr-frames filter -i fifo -o "shm:$RING"
	local producer=$PID
	wait_for 60 sh -c "msr-frames stat --json shm:$RING | jq -e .producer"
	recorder --idle 100ms -i "shm:$RING"
	local record=$PID
	finished s1
	# What comes now is somebody's who may pause.
	give session=s2 codec=ogg @"$MEDIA/a.ogg"
	wait_for 60 has_bytes s2.audio "$(stat -c %s "$MEDIA/a.ogg")"
	sleep 2.1 # that nothing happens is what is tested
	[ "$(count_events recording-stop)" = 1 ]
	give session=s2 close
	finished s2
	kill "$producer" "$record"
	wait "$record"
	msr-frames rm "shm:$RING"
}

@test "kill -9 of the recorder at random moments: every part exactly once" {
	local i words=(codec=s16le rate=48000 channels=2 size=3840 step=20000)
	ring_name
	# Five sessions in turns, in real time: 3 s, and a part of all each 20 ms.
	for i in 0 1 2 3 4; do
		frames time=1000000000 session=s$i "${words[@]}" @"$MEDIA/a.s16le" >one.$i
	done
	$PYTHON - <<-'EOF' >all
		import sys
		files = [open(f"one.{i}", "rb").read() for i in range(5)]
		size = len(files[0]) // 150
		for at in range(0, len(files[0]), size):
		    for f in files:
		        sys.stdout.buffer.write(f[at:at + size])
	EOF
	frames time=1003000000 session=s0 close session=s1 close session=s2 close session=s3 close session=s4 close >>all
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
	for i in 0 1 2 3 4; do
		finished s$i
	done
	kill "$PID"
	wait "$PID"
	msr-frames rm "shm:$RING"
	for i in 0 1 2 3 4; do
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
	finished s1
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
	# On a busy machine none of them may have come as far as reading.
	start record msr-record -d st -e events -i "shm:$RING"
	wait_for 60 all_is_safe
	kill -9 "$PID"
	wait_gone "$PID"
	msr-record --recover -d st -e events
	msr-frames rm "shm:$RING"
	[ "$(find st -name '*.json' | wc -l)" = 6 ]
	[ "$(find st -name '*~*' | wc -l)" = 0 ]
	for json in st/*.json; do
		good_file "$(jq -r .file "$json")" 3
	done
	no_hidden_files
	# Children die with their parent.
	wait_for 60 no_process_on "$PWD/st"
}

no_process_on() {
	! pgrep -f "file:$1"
}

@test "a recorder that is told to stop on a full disk leaves in the ring what does not fit" {
	unshare -rm true 2>/dev/null || skip "no user namespaces here"
	ring_name
	frames codec=s16le rate=48000 channels=2 size=9600 step=50000 @"$MEDIA/a.s16le" close >all
	msr-frames filter -n 5 -i all -o "shm:$RING"
	mkdir st out
	# shellcheck disable=SC2016 # expands in the inner shell
	start record unshare -rm sh -c 'mount -t tmpfs -o size=300k tmpfs st && { msr-record --grace 600s -d st -e events -i "shm:$1" & } &&
		until grep -q disk-full events; do sleep 0.1; done && kill $! && wait $! && cp -p st/.s1* out' - "$RING"
	wait_for 60 all_is_safe
	tail -c +$(($(msr-frames filter -n 5 -i all | wc -c) + 1)) all | msr-frames filter -o "shm:$RING"
	wait_gone "$PID" 180 # of 600 that it has
	ended_well "$PID"
	mv out/.s1* st
	recorder --audio wav --no-pictures -i "shm:$RING"
	finished s1
	kill "$PID"
	wait "$PID"
	msr-frames rm "shm:$RING"
	ffmpeg -v error -i st/s1.wav -f s16le - | cmp - "$MEDIA/a.s16le"
}

@test "a ring whose last reader is just dying is waited for" {
	ring_name
	start reader msr-frames body -i "shm:$RING"
	local reader=$PID
	has_reader() { [ "$(msr-frames stat -j "shm:$RING" | jq .consumer)" = true ]; }
	wait_for 60 has_reader
	recorder -i "shm:$RING"
	sleep 0.3 # two seconds are what it waits
	kill -9 "$reader"
	frames codec=ogg @"$MEDIA/a.ogg" close | msr-frames filter -o "shm:$RING"
	finished s1
	kill "$PID"
	wait "$PID"
	msr-frames rm "shm:$RING"
}

@test "two sources are read in turns" {
	ring_name
	frames session=a codec=ogg @"$MEDIA/a.ogg" close | msr-frames filter -o "shm:$RING"
	frames session=b codec=ogg @"$MEDIA/a.ogg" close >file
	recorder -i file -i "shm:$RING"
	finished a
	finished b
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
	finished s1
	all_is_safe
	kill "$PID"
	wait "$PID"
	msr-frames rm "shm:$RING"
	good_file s1.mp3 3
}
