#!/usr/bin/env bats
# msr-frames(1): frames made, shown, filtered, replayed; rings looked at and removed; msr-frame(5)
# agrees with the header.

load ../support/common

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	export MSR_RING_DIR=$BATS_TEST_TMPDIR
	TOP=$BATS_TEST_DIRNAME/../..
	head -c 20000 /dev/urandom >bytes
}

teardown() {
	stop_all
}

make_pcm() {
	msr-frames make --room r1 --session s1 --codec s16le --rate 16000 "$@" bytes
}

@test "make wraps a file as a session, dump shows it, body gives it back" {
	make_pcm --source microphone >cap
	run msr-frames dump -i cap
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 34 ] # open, 31 full parts and a short one of 20 ms, close
	[[ ${lines[0]} == *" open  r1/s1" ]]
	[[ ${lines[1]} == *" audio r1/s1 s16le part 0 640 B 16000 Hz x1 microphone" ]]
	[[ ${lines[32]} == *" part 31 160 B "* ]]
	[[ ${lines[33]} == *' close r1/s1 {"reason":"end"}' ]]
	msr-frames body <cap | cmp - bytes
}

@test "json is one object a line with what the frame has" {
	make_pcm --storage st --part 7 >cap
	msr-frames json -i cap >lines
	[ "$(jq -rs 'map(.kind) | unique | join(" ")' lines)" = "audio close open" ]
	[ "$(jq -r 'select(.kind == "audio") | .part' lines | head -n 1)" = 7 ]
	[ "$(jq -s 'map(.bytes) | add' lines)" = 20016 ] # and the reason
	[ "$(jq -rs '.[1] | [.room, .session, .storage, .codec, .rate, .channels] | join(" ")' lines)" = "r1 s1 st s16le 16000 1" ]
	[ "$(jq -rs '.[-1].info.reason' lines)" = end ]
	# 20 ms from part to part, by their times
	jq -rs '[.[] | select(.kind == "audio") | .ts[17:26] | tonumber] | (.[1] - .[0]) * 1000 | round' lines | grep -qxE '20|-59980'
}

@test "make recognises containers and takes what it is told otherwise" {
	printf '\x1a\x45\xdf\xa3webm and so on' | msr-frames make --room r --session s --kind video |
		msr-frames json kind=video | jq -e '.codec == "webm"'
	printf 'x' | msr-frames make --room r --session s | msr-frames json kind=audio | jq -e '.codec == "none"'
	[ "$(msr-frames make --room r --session s --chunk 6000 --no-open --no-close bytes | msr-frames json | jq -c .bytes | tr '\n' ' ')" = "6000 6000 6000 2000 " ]
	[ "$(printf abcd | msr-frames make --room r --session s --codec s16le --rate 40 | msr-frames json kind=audio | jq -s -c 'map(.bytes)')" = '[2,2]' ]
}

@test "filter passes on what all conditions ask for" {
	{
		msr-frames make --room r1 --session s1 bytes
		msr-frames make --room r1 --session s2 --kind video --codec webm bytes
		msr-frames make --room r2 --session s3 --storage screen bytes
	} >cap
	sessions() { msr-frames filter "$@" <cap | msr-frames json | jq -r .session | uniq | tr '\n' ' '; }
	[ "$(sessions room=r1)" = "s1 s2 " ]
	[ "$(sessions session=s1,s3)" = "s1 s3 " ]
	[ "$(sessions kind=audio)" = "s1 s3 " ]
	[ "$(sessions kind=video codec=webm)" = "s2 " ]
	[ "$(sessions kind=video codec=ogg)" = "" ]
	[ "$(sessions storage=screen)" = "s3 " ]
	[ "$(sessions kind=audio storage=)" = "s1 " ]
	msr-frames filter session=s2 -n 1 -i cap -o out
	[ "$(msr-frames dump <out | wc -l)" -eq 1 ]
	msr-frames filter session=s3 -n 1 -i cap -o out # continues
	[ "$(msr-frames dump <out | wc -l)" -eq 2 ]
}

@test "damage is skipped and reported" {
	make_pcm >cap
	{ tail -c 3000 cap; head -c 500 bytes; cat cap; } >damaged
	msr-frames dump -i damaged >lines 2>err
	[ "$(wc -l <lines)" -ge 36 ]
	grep -qE "skipped [0-9]+ bytes of damage in 2 places" err
}

@test "a ring keeps frames until they are read, and stat and rm say what is in it" {
	make_pcm -o shm:r --ring-size 1M
	msr-frames stat -j shm:r >stat.json
	jq -e '.records == 34 and .used > 20000 and .capacity == 1048576 and (.producer or .consumer | not)' stat.json
	msr-frames dump --keep -i shm:r >lines
	[ "$(wc -l <lines)" -eq 34 ]
	run msr-frames rm shm:r
	[ "$status" -eq 1 ]
	[[ $output == *"nobody has stored"* ]]
	msr-frames filter --no-wait -i shm:r -n 10 >first
	msr-frames filter --no-wait -i shm:r >second
	cat first second | msr-frames body | cmp - bytes
	msr-frames stat shm:r | grep -qE '^  used +0 B'
	msr-frames rm shm:r
	[ -z "$(find . -name 'msr-r*')" ]
	run msr-frames rm shm:r
	[ "$status" -eq 1 ]
}

@test "a second reader of a ring is refused, and a ring in use is not removed" {
	start reader msr-frames dump -i shm:busy
	wait_for 5 sh -c 'msr-frames stat -j shm:busy | jq -e .consumer'
	run msr-frames dump -i shm:busy
	[ "$status" -eq 1 ]
	[[ $output == *"another process has this side"* ]]
	run msr-frames rm shm:busy
	[ "$status" -eq 1 ]
	[[ $output == *"in use by its consumer"* ]]
	kill "$PID"
	ended_well "$PID"
	msr-frames rm shm:busy
}

@test "rm takes a damaged ring away, but what is no ring only by force" {
	make_pcm -o shm:r --ring-size 1M
	msr-frames filter --no-wait -i shm:r >/dev/null
	truncate -s 1000 msr-r
	run msr-frames stat shm:r
	[ "$status" -eq 1 ]
	[[ $output == *"not a ring, or a damaged one"* ]]
	msr-frames rm shm:r
	[ ! -e msr-r ]
	# A tail far behind the head, little-endian at 256.
	make_pcm -o shm:r --ring-size 1M
	printf '\1' | dd of=msr-r bs=1 seek=262 conv=notrunc status=none
	msr-frames rm shm:r
	[ ! -e msr-r ]
	: >msr-half
	msr-frames rm shm:half
	[ ! -e msr-half ]
	echo "something else" >msr-other
	run msr-frames rm shm:other
	[ "$status" -eq 1 ]
	[[ $output == *"not a ring"* ]]
	[ -e msr-other ]
	msr-frames rm --force shm:other
	[ ! -e msr-other ]
}

@test "frames go from ring to ring, and a reader killed in between loses none" {
	start make msr-frames make --room r --session s --codec u8 --rate 8000 --chunk 100 -R --every 2ms -o shm:a bytes
	made=$PID
	for i in 1 2 3; do
		start "filter$i" msr-frames filter -i shm:a -o shm:b
		at=$i
		wait_for 10 sh -c "[ \$(msr-frames stat -j shm:b | jq .records) -ge $((at * 50)) ]"
		kill -9 "$PID"
		wait "$PID" || true
	done
	start filter msr-frames filter -i shm:a -o shm:b
	ended_well "$made"
	wait_for 10 sh -c 'msr-frames stat -j shm:a | jq -e ".used == 0"'
	msr-frames filter --no-wait -i shm:b kind=audio >all
	# A frame that was passed on but not yet taken out is passed on again: each is there, in order.
	msr-frames json -i all | jq .part | sort -nu | cmp - <(seq 0 199)
}

@test "a frame that does not fit stays where it is" {
	head -c 90000 /dev/urandom >large
	msr-frames make --room r --session s --chunk 1000 --no-close -o shm:a bytes
	msr-frames make --room r --session s --chunk 90000 --no-open -o shm:a large
	run msr-frames filter --no-wait -i shm:a -o shm:b --ring-size 128K
	[ "$status" -eq 1 ]
	[[ $output == *"larger than half of the ring"* ]]
	[ "$(msr-frames json --keep -i shm:b | wc -l)" -eq 21 ]
	[ "$(msr-frames json --keep -i shm:a | jq -c .bytes | tr '\n' ' ')" = "90000 16 " ]
}

@test "a FIFO is followed over its writers" {
	mkfifo pipe
	start dump msr-frames dump -f -i pipe
	for i in 1 2; do
		make_pcm --part "$i" >pipe
		wait_for 5 sh -c "[ \$(grep -c close dump.log) -eq $i ]"
	done
	kill "$PID"
	ended_well "$PID"
}

@test "replay keeps the pace, times the speed" {
	make_pcm >cap # 0.64 s
	took() {
		local t0
		t0=$(date +%s%N)
		msr-frames replay -i cap "$@" >out
		echo $((($(date +%s%N) - t0) / 1000000))
	}
	t=$(took)
	[ "$t" -ge 600 ]
	cmp cap out
	t=$(took --speed 4)
	[ "$t" -ge 150 ]
	[ "$t" -lt 600 ]
	msr-frames replay -i cap --speed 1000 --restamp --room other --session x >out
	[ "$(msr-frames json <out | jq -r '.room + "/" + .session' | uniq)" = other/x ]
	[ "$(msr-frames body <out | cmp - bytes && echo same)" = same ]
}

@test "make in real time takes its time and closes the session when interrupted" {
	start make sh -c 'exec msr-frames make --room r --session s --codec s16le --realtime -o out /dev/zero'
	enough() { [ "$(msr-frames dump -i out | wc -l)" -gt 3 ]; }
	wait_for 10 enough
	kill "$PID"
	ended_well "$PID"
	[[ $(msr-frames dump -i out | tail -n 1) == *" close r/s"* ]]
}

@test "a reader that has seen enough ends the writer without an error" {
	make_pcm >cap
	for command in "dump -i cap" "json -i cap" "filter -i cap" "make --room r --session s bytes"; do
		set -o pipefail
		# shellcheck disable=SC2086 # words
		msr-frames $command | head -c 10 >/dev/null
	done
}

@test "wrong usage is refused with what to do" {
	refused() {
		local want=$1
		shift
		run msr-frames "$@"
		[ "$status" -eq 2 ]
		[[ $output == *"$want"*"--help"* ]]
	}
	refused "name a command"
	refused "no such command: 'dance'" dance
	refused "is not a condition" dump color=red
	refused "what to read is given with -i" dump cap.frames
	refused "no such kind: 'smell'" dump kind=smell
	refused "an id is" filter room=../x
	refused "--room is needed" make --session s bytes
	refused "--session 'a/b'" make --room r --session a/b bytes
	refused "no such codec" make --room r --session s --codec mp17 bytes
	refused "multiple of 4" make --room r --session s --codec s16le --channels 2 --chunk 6 bytes
	refused "--speed" replay --speed 0
	refused "which ring" stat
	run msr-frames dump -i nowhere
	[ "$status" -eq 1 ]
	[[ $output == *"nowhere"*"No such file"* ]]
	run msr-frames dump --keep -i shm:nowhere
	[ "$status" -eq 1 ]
	[ ! -e msr-nowhere ]
}

# Rows ".It NUMBER Ta NAME" of one section of the page, as "NAME NUMBER".
rows() {
	sed -n "/^\.Ss $1/,/^\.El/s/^\.It \([0-9]*\) Ta \([a-z0-9-]*\).*/\2 \1/p" "$TOP/man/msr-frame.5"
}

@test "msr-frame(5) has the numbers of the header" {
	numbers() { sed -nE "s/^\s*$1_([A-Z0-9]+) = ([0-9]+),.*/\L\1 \2/p" "$TOP/lib/frame/frame.h"; }
	diff <(rows Kinds) <(numbers FRAME | head -n 7)
	diff <(rows Codecs) <(numbers CODEC)
	diff <(rows Flags | cut -d' ' -f2) <(sed -n '/^enum frame_flag/,/^}/s/.*= \([0-9]*\),.*/\1/p' "$TOP/lib/frame/frame.h")
	diff <(rows Sources | cut -d' ' -f1 | tr '\n' ' ') \
		<(sed -n 's/^enum frame_source { \(.*\) };/\1/p' "$TOP/lib/frame/frame.h" | tr -d ',' | sed 's/SOURCE_//g' | tr 'A-Z\n' 'a-z ')
}

@test "msr-frame(5) has the layout that a reader meets" {
	msr-frames make --room r1 --session sess --storage st --codec s16le --rate 16000 --channels 1 \
		--source screen --part 5 --no-open --no-close --chunk 640 bytes >cap
	# The example of the page, with the page's own text as the program.
	sed -n '/^import struct/,/^\.Ed/p' "$TOP/man/msr-frame.5" | sed '/^\.Ed/d; s/\\e$/\\/' >reader.py
	$PYTHON reader.py <cap >parts
	[ "$(head -n 1 parts)" = "3 5 r1 640" ]
	[ "$(wc -l <parts)" -eq 32 ]
	# Fields at the offsets of the table.
	field() { $PYTHON -c 'import sys; d = open("cap", "rb").read(); o, w = map(int, sys.argv[1:]); print(int.from_bytes(d[o:o + w], "little"))' "$@"; }
	offset() { sed -nE "s/^\.It ([0-9]+) Ta ([0-9]+) Ta $1 Ta.*/\1 \2/p" "$TOP/man/msr-frame.5" | head -n 1; }
	while read -r name want; do
		# shellcheck disable=SC2046 # offset and width
		[ "$(field $(offset "$name"))" = "$want" ] || { echo "$name"; false; }
	done <<-'EOT'
		version 1
		kind 3
		flags 0
		codec 17
		body_len 640
		room_len 2
		session_len 4
		storage_len 2
		channels 1
		part 5
		rate 16000
		source 3
		reserved 0
	EOT
	[ "$(head -c 56 cap | tail -c 8)" = "r1sessst" ]
}

@test "msr-frame(5) has the layout of the control page" {
	make_pcm -o shm:page --ring-size 64K
	msr-frames stat -j shm:page >stat.json
	at() { # the offset and width stand in the table behind "RINGS"
		local row
		row=$(sed -n '/^\.Sh RINGS/,$p' "$TOP/man/msr-frame.5" | sed -nE "s/^\.It ([0-9]+) Ta ([0-9]+) Ta $1 Ta.*/\1 \2/p")
		# shellcheck disable=SC2086 # offset and width
		$PYTHON -c 'import sys; d = open("msr-page", "rb").read(4096); o, w = map(int, sys.argv[1:]); print(int.from_bytes(d[o:o + w], sys.byteorder))' $row
	}
	for field in capacity head tail records full high_water producer_starts consumer_starts; do
		[ "$(at $field)" = "$(jq .$field stat.json)" ] || { echo $field; false; }
	done
	[ "$(at version)" = 1 ]
	[ "$(printf %016x "$(at id)")" = "$(jq -r .id stat.json)" ]
	[ "$(head -c 7 msr-page)" = MSRRING ]
	[ "$(stat -c %s msr-page)" -eq $(($(at control_size) + $(at capacity))) ]
	[ "$(stat -c %a msr-page)" = 600 ]
}

@test "standard input may be a FIFO whose writer is gone already" {
	make_pcm >cap
	mkfifo fifo
	exec 8<>fifo
	cat cap >fifo
	exec 9<fifo 8>&-
	timeout 10 msr-frames filter <&9 >out
	exec 9<&-
	cmp cap out
}

@test "the examples of the page work" {
	{
		msr-frames make --room r --session talk --kind video bytes
		msr-frames make --room r --session other bytes
	} >capture
	example() { sed -nE "s/^(\.Dl \\$ )?(msr-frames $1.*)/\2/p" "$TOP/man/msr-frames.1"; }
	sh -c "$(example body)"
	cmp talk.webm bytes
	sh -c "$(example json)" | jq -se 'map(.bytes) == [20000, 20000] and map(.s) == ["other", "talk"]'
	sh -c "$(example replay)"
	msr-frames make --room r --session s -o shm:demo bytes
	run sh -c "$(example 'dump --keep')"
	[ "$status" -eq 0 ]
	[[ $output == *" open  r/s"*" close r/s"* ]]
	run sh -c "$(sed -n '/^for ring/,/^done/p' "$TOP/man/msr-frames.1" | sed "s|/dev/shm|$MSR_RING_DIR|g")"
	[ "$status" -eq 0 ]
	[[ $output == *shm:demo* && $output == *shm:test* ]]
	[ "$(msr-frames json --keep -i shm:test session=again | wc -l)" -eq 6 ]
}
