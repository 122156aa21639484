#!/usr/bin/env bats
# Mixes of rooms: who is seen and heard where and when, and what a crash leaves.
# takes 60 s

bats_require_minimum_version 1.5.0
load ../support/common

setup_file() {
	export SCENE=$BATS_FILE_TMPDIR
	cd "$SCENE" || return
	# Six seconds: Ann in red; Eve, only to be heard, from 1 to 4; Bob in blue from 2 to 5; Ann's screen in
	# green from 3 to 5.
	person ann --seconds 6 --colour red --hz 500 --size 640x360 >ann.frames
	person eve --seconds 3 --begin 1 --only audio --hz 2500 >eve.frames
	person bob --seconds 3 --begin 2 --colour blue --hz 1200 >bob.frames
	person ann --seconds 2 --begin 3 --only video --colour lime --size 480x360 --storage screen >screen.frames
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return
}

teardown() {
	stop_all
}

person() {
	$PYTHON "$SUPPORT/call.py" make --session "$@"
}

record() {
	msr-record -d st -e events --no-pictures --record-mix all "$@" 2>log
}

measure() {
	$PYTHON "$SUPPORT/mix-measure.py" "$@" >measured.json && cat measured.json
}

# holds EXPRESSION: about what was measured; c(KEY) is a colour's name, t(KEY) whether a tone is there.
holds() {
	$PYTHON - "$1" <<-'EOF'
		import json, sys
		m = json.load(open('measured.json'))
		def c(key):
		    r, g, b = m['colours'][key]
		    strong = [name for name, v in (('red', r), ('green', g), ('blue', b)) if v > 120]
		    return strong[0] if len(strong) == 1 else 'dark' if max(r, g, b) < 60 else f'{r},{g},{b}'
		def t(key):
		    return m['tones'][key] > 0.1
		if not eval(sys.argv[1]):
		    sys.exit(f'does not hold: {sys.argv[1]}: {m}')
	EOF
}

no_hidden_files() {
	[ -z "$(find st -name '.*' -type f)" ]
}

@test "everybody side by side, each from when they came to when they left, screens larger" {
	cat "$SCENE/bob.frames" "$SCENE/ann.frames" "$SCENE/screen.frames" "$SCENE/eve.frames" | record
	local a=1040,60,160,120 e=980,260,200,120 b=1040,540,160,120 s=200,200,500,300
	measure st/mix/r.webm $a@0.7 $b@0.7 $s@0.7 $a@2.7 $b@2.7 $s@2.7 $b@3.7 $s@3.7 $a@5.7 $b@5.7 $s@5.7 $e@2.7 \
		500@0 2500@0 500@1 2500@1 1200@1 1200@2 2500@3 1200@4 2500@4 500@5 1200@5
	holds "abs(m['duration'] - 6) <= 0.1 and abs(m['sound'] - 6) <= 0.1 and m['size'] == [[1280, 720]]"
	holds "m['streams'] == ['vp8', 'opus']"
	holds "[c('$a@' + at) for at in ('0.7', '2.7', '5.7')] == ['red'] * 3"
	holds "[c('$b@' + at) for at in ('0.7', '2.7', '3.7', '5.7')] == ['dark', 'blue', 'blue', 'dark']"
	holds "[c('$s@' + at) for at in ('0.7', '2.7', '3.7', '5.7')] == ['dark', 'dark', 'green', 'dark']"
	holds "c('$e@2.7') == 'dark'"
	holds "[t(k) for k in ('500@0', '500@1', '500@5')] == [True] * 3"
	holds "[t(k) for k in ('2500@0', '2500@1', '2500@3', '2500@4')] == [False, True, True, False]"
	holds "[t(k) for k in ('1200@1', '1200@2', '1200@4', '1200@5')] == [False, True, True, False]"
	jq -e '.room == "r" and .storage == "mix" and (.recordings | sort) ==
		["ann.webm", "bob.webm", "eve.mp3", "screen/ann.webm"] and .start == "2025-06-15T15:06:40.000000Z"' st/mix/r.json
	[ -z "$(ffmpeg -v error -xerror -i st/mix/r.webm -f null - 2>&1)" ]
	no_hidden_files
	# It is a recording, and by that a task.
	msr-taskscan -d st -t tasks
	jq -e '.files[0].path | endswith("mix/r.webm")' tasks/mix/r.task
}

@test "flash and beep of somebody who came late are together, and where they were in the call" {
	cat "$SCENE/ann.frames" "$SCENE/bob.frames" | record
	# Bob alone: the right half.
	ffmpeg -nostdin -v error -i st/mix/r.webm -vf crop=640:720:640:0,scale=160:-2 -af "highpass=900,highpass=900,volume=3" \
		-c:v mjpeg -c:a pcm_s16le bob.mkv
	$PYTHON "$SUPPORT/av-measure.py" bob.mkv | tee measured.json
	holds "[round(x) for x in m['flashes']] == [2, 3, 4] and max(abs(x) for x in m['offsets']) <= 0.08"
	holds "max(abs(x - round(x)) for x in m['beeps']) <= 0.06"
}

@test "sound alone is mixed to the format of sound" {
	person fay --seconds 2 --only audio --hz 700 >fay.frames
	cat fay.frames "$SCENE/eve.frames" | record --audio opus
	measure st/mix/r.opus 700@0 700@1 2500@0 2500@1 2500@3
	holds "abs(m['duration'] - 4) <= 0.1 and [m['tones'][k] > 0.1 for k in m['tones']] == [True, True, False, True, True]"
}

@test "only the rooms that were named, and only calls" {
	person gus --seconds 1 --room other --only audio >gus.frames
	$PYTHON "$SUPPORT/frames.py" room=r session=s codec=s16le rate=8000 channels=1 "@$SCENE/ann.frames:0" close >pcm
	cat gus.frames pcm "$SCENE/eve.frames" | msr-record -d st -e events --no-pictures --record-mix r
	[ "$(ls st/mix)" = "$(printf 'r.json\nr.mp3')" ]
	jq -e '.recordings == ["eve.mp3"]' st/mix/r.json
	msr-record -d st -e events --no-pictures <gus.frames
	[ "$(find st/mix -name '*.json' | wc -l)" = 1 ]
}

@test "a room is over when nobody was recorded for a while; used again it gets ~2" {
	person eve --seconds 2 --begin 8 --only audio --hz 2500 >again
	mkfifo fifo
	exec 9<>fifo
	start record sh -c 'exec 9>&-; exec "$@"' sh msr-record -d st -e events --no-pictures --record-mix all --mix-wait 4s -i fifo
	cat "$SCENE/eve.frames" >&9
	finished eve
	cat again >&9 # back within the time
	finished eve~2
	[ ! -e st/mix/r.json ]
	finished mix/r
	jq -e '.recordings == ["eve.mp3", "eve~2.mp3"]' st/mix/r.json
	jq .duration st/mix/r.json | awk '{ exit !($1 > 8.9 && $1 < 9.1) }'
	cat "$SCENE/eve.frames" >&9
	finished mix/r~2
	jq -e '.recordings == ["eve~3.mp3"]' st/mix/r~2.json
	exec 9>&-
}

@test "kill -9 before and while a room is mixed: the next start makes it, once" {
	person gus --seconds 1 --only audio >gus.frames
	mkdir bin
	printf '#!/bin/sh\ncase "$*" in *amix*) touch mixing; exec sleep 100 ;; esac\nexec /usr/bin/ffmpeg "$@"\n' >bin/ffmpeg
	chmod +x bin/ffmpeg
	mkfifo fifo
	exec 9<>fifo
	start record sh -c 'exec 9>&-; exec "$@"' sh msr-record -d st -e events --no-pictures --record-mix all --mix-wait 1h -i fifo
	cat "$SCENE/eve.frames" gus.frames >&9
	finished gus
	finished eve
	kill -9 "$PID"
	wait_gone "$PID"
	exec 9>&-
	[ -s st/mix/.r.list.part ]
	start recover env PATH="$PWD/bin:$PATH" msr-record --recover -d st -e events --no-pictures
	wait_for 10 test -e mixing
	kill -9 "$PID"
	wait_gone "$PID"
	# Where somebody took the list away that is said, and no program is blamed.
	cp -r st gone
	rm gone/mix/.r.list.part
	: >gone/mix/.r.json
	run msr-record --recover -d gone -e failed
	[ "$status" -eq 1 ]
	[ "$(jq -r 'select(.ev == "finish-failed") | .message' failed)" = "No such file or directory" ]
	msr-record --recover -d st -e events --no-pictures
	jq -e '(.recordings | sort) == ["eve.mp3", "gus.mp3"]' st/mix/r.json
	[ "$(find st/mix -type f | wc -l)" = 2 ]
	no_hidden_files
}

@test "without a font there are no names; recordings that are gone or damaged are left out" {
	person bob --seconds 1 --colour blue >bob.frames
	person gus --seconds 1 --only audio --copies 3 >gus.frames
	mkdir bin
	printf '#!/bin/sh\ncase "$*" in *drawtext*) echo "no font" >&2; exit 1 ;; esac\nexec /usr/bin/ffmpeg "$@"\n' >bin/ffmpeg
	chmod +x bin/ffmpeg
	mkfifo fifo
	exec 9<>fifo
	start record env PATH="$PWD/bin:$PATH" sh -c 'exec 9>&-; exec "$@"' sh msr-record -d st -e events --no-pictures \
		--record-mix all --mix-wait 1h -i fifo
	cat "$SCENE/eve.frames" gus.frames bob.frames >&9
	for name in eve gus0 gus1 gus2 bob; do
		finished $name
	done
	rm st/eve.* st/gus0.mp3
	: >st/gus1.mp3
	echo "no sound" >st/gus2.mp3
	exec 9>&-
	ended_well "$PID"
	jq -e '.recordings == ["bob.webm"]' st/mix/r.json
	[ "$(jq -r .file st/mix/r.json)" = r.webm ]
}

@test "where no mix can be made the recordings of the room appear all the same" {
	mkdir st
	echo "somebody's" >st/mix
	record <"$SCENE/bob.frames"
	jq -e '.file == "bob.webm"' st/bob.json
	grep -q "not be in the mix" log
	no_hidden_files
}
