#!/usr/bin/env bats
# msr-record(8): real media in, files that play out; names, gaps, and what is refused.
# takes 110 s

load ../support/record

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
		record --audio wav --no-pictures -- session=$format codec=$format rate=48000 channels=2 size=9600 step=10000 @"$MEDIA/a.$format" close
		good_file $format.wav 3 0.001
		# Every sample is there, unchanged.
		ffmpeg -v error -i st/$format.wav -f $format - | cmp - "$MEDIA/a.$format"
	done
}

@test "each audio format" {
	local format
	for format in opus flac wav m4a; do
		record --audio $format --no-pictures -- session=$format codec=ogg @"$MEDIA/a.ogg" close
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
	run record -- codec=ogg storage=screen @"$MEDIA/a.ogg" session=s2 storage=s2 @"$MEDIA/a.ogg" \
		session=s3 storage=x.mp3 @"$MEDIA/a.ogg" session=s2.json storage=s2.json @"$MEDIA/a.ogg"
	[ "$status" -eq 1 ]
	[[ $output == *"not recording room room session s3: the storage id looks like a file name; leave out its extension"* ]]
	good_file screen/s1.mp3 3
	good_file s2.mp3 3
	good_file s2.json.mp3 3
	[ "$(jq -r .storage st/screen/s1.json)" = screen ]
	[ ! -e st/x.mp3 ]
	[ "$(count_events refused)" = 1 ]
}

@test "a storage id that is a link or a file in the storage is refused" {
	mkdir st elsewhere
	ln -s ../elsewhere st/link
	echo >st/file
	run record --no-pictures -- codec=s16le rate=48000 channels=2 storage=link @"$MEDIA/a.s16le":0 storage=file @"$MEDIA/a.s16le":1 \
		storage=fine @"$MEDIA/a.s16le":2 close
	[ "$status" -eq 1 ]
	[ -z "$(ls -A elsewhere)" ]
	[ "$(count_events refused)" = 2 ]
	[ -e st/fine/s1.mp3 ]
}

@test "a session has at most 64 storage ids; that the others are dropped is said once" {
	local words=() i
	for i in {1..70}; do
		words+=("storage=x$i" part=0 "@$MEDIA/a.webm:0")
	done
	mkfifo fifo
	start record msr-record -d st -e events -i fifo
	exec 9>fifo
	frames codec=webm size=1000000 "${words[@]}" session=last storage= part=0 "@$MEDIA/a.webm:0" >&9
	wait_for 20 test -s st/.last.audio.part
	[ "$(count_events refused)" = 1 ]
	[ "$(find st -name .s1.audio.part | wc -l)" = 64 ]
	kill -9 "$PID" # instead of 65 conversions
	exec 9>&-
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
		time=9000000000000000000 part=1000000000000000000 @"$MEDIA/a.s16le":1 \
		session=s3 time=9223372036854775807 part=0 @"$MEDIA/a.s16le":0 \
		kind=video codec=none time=-9223372036854775808 size=99999999 @"$MEDIA/vp9.webm" \
		session=s4 kind=audio codec=s16le time=9223372036854775807 step=0 size=16000 @"$MEDIA/a.s16le":0 close
	[ "$(jq '.duration <= 3602' st/s1.json)" = true ]
	[ "$(jq '.duration <= 3602' st/s2.json)" = true ]
	[ "$(jq -r '.start[:10], .end[:10]' st/s3.json | xargs)" = '1970-01-01 9999-12-31' ]
	[ "$(jq -r '.start[:10]' st/s4.json)" = 9999-12-31 ]
	[ "$(count_events disk-full)" = 0 ]
}

@test "a container that jumps ahead by more than an hour again and again becomes no hours of silence" {
	# At 8 kHz, for FFmpeg keeps the silence of a jump in memory before it writes it.
	ffmpeg -v error -f lavfi -i sine=440:r=8000:d=1 -c:a libvorbis first.webm -c:a libvorbis -output_ts_offset 5000 -f webm later.webm
	# Clusters of one file behind those of another, each 5,000 s after the one before.
	$PYTHON - first.webm later.webm >jumps.webm <<-'EOF'
		import sys
		first, later = (open(name, "rb").read() for name in sys.argv[1:])
		cluster = later[later.find(b"\x1f\x43\xb6\x75"):].partition(b"\x1c\x53\xbb\x6b")[0]
		at = cluster.find(b"\xe7") + 2
		n = cluster[at - 1] & 0x7f
		time = int.from_bytes(cluster[at:at + n], "big")
		jumps = (cluster[:at] + (time * i).to_bytes(n, "big") + cluster[at + n:] for i in range(1, 4))
		sys.stdout.buffer.write(first + b"".join(jumps))
	EOF
	record --no-pictures --audio flac -- codec=webm size=1000000 @jumps.webm close
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
	run record --max-bytes 100K --audio wav -- session=bad codec=s16le rate=0 channels=2 @"$MEDIA/a.s16le":0 \
		session=long rate=48000 @"$MEDIA/a.s16le" session=s2 codec=ogg @"$MEDIA/a.ogg"
	[ "$status" -eq 1 ]
	[[ $output == *"session bad: its data cannot be stored; look at its codec, rate and channels"* ]]
	[[ $output == *"session long: the recording is as long as --max-bytes allows"* ]]
	[ "$(count_events refused)" = 2 ]
	good_file s2.wav 3
	jq .duration st/long.json | near 0.51 0.03
	no_hidden_files
	# What has ended, and is still to be finished, takes no place.
	run record --max-sessions 1 -- session=one codec=ogg @"$MEDIA/a.ogg":0,1,2 session=two @"$MEDIA/a.ogg":0 \
		session=one @"$MEDIA/a.ogg":3,4,5,6 close session=three @"$MEDIA/a.ogg"
	[ "$status" -eq 1 ]
	[[ $output == *"session two: too many recordings at once; see --max-sessions"* ]]
	good_file one.mp3 3
	[ ! -e st/two.mp3 ]
	good_file three.mp3 3
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

@test "a start that fails says why" {
	says_why_not msr-record -d st -i -
}

@test "what cannot be read stays beside what could be made of the rest" {
	head -c 40000 /dev/urandom >noise
	record -- session=av kind=video codec=webm @"$MEDIA/v.webm" kind=audio codec=opus part=0 @noise close
	[ "$(codecs st/av.json)" = vp8 ]
	[ "$(jq -c .unread st/av.json)" = '["av.audio.part"]' ]
	[ "$(jq -c 'select(.ev == "finished") | .unread' events)" = '["av.audio.part"]' ]
	cmp st/av.audio.part noise
	no_hidden_files
}

@test "a stream that begins with silence may be numbered anew as well, or come again at once" {
	local pcm=(codec=s16le rate=48000 channels=2 size=9600 step=50000)
	{ head -c 9600 /dev/zero && head -c 96000 "$MEDIA/a.s16le"; } >sound
	# Its producer was restarted a minute later, and numbers from 0; what it sends then is silence first, too.
	record --audio wav -- session=anew "${pcm[@]}" time=1000000000 @sound time=1060000000 part=0 @sound close
	ffmpeg -v error -i st/anew.wav -f s16le - | cmp - <(cat sound sound)
	[ "$(jq -c '[.parts, .duplicates]' st/anew.json)" = '[22,0]' ]
	# What was not acknowledged comes again seconds later.
	record --audio wav -- session=again "${pcm[@]}" time=1000000000 @sound time=1003000000 part=0 @sound close
	ffmpeg -v error -i st/again.wav -f s16le - | cmp - sound
	[ "$(jq -c '[.parts, .duplicates]' st/again.json)" = '[11,11]' ]
}
