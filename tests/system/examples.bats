#!/usr/bin/env bats
# Every example in examples/ does what it says.

bats_require_minimum_version 1.5.0
load ../support/common

setup() {
	EXAMPLES=$BATS_TEST_DIRNAME/../../examples
	cd "$BATS_TEST_TMPDIR" || return
	port=$(free_port)
}

teardown() {
	stop_all
}

# sound SECONDS: raw samples that are all different from their neighbours, s16le, mono, 48 kHz.
sound() {
	$PYTHON -c "
import array, sys
array.array('h', (i * 7919 % 60000 - 30000 for i in range(int(48000 * $1)))).tofile(sys.stdout.buffer)"
}

there() {
	[ -e "$1" ]
}

@test "pipeline.sh and stream-pcm: every sample arrives, and a task is made" {
	MSR_WS_PORT=$port MSR_AUDIO=wav start pipeline setsid "$EXAMPLES/pipeline.sh" .
	wait_for 10 is_healthy "$port"
	sound 3 >in.pcm
	"$EXAMPLES/stream-pcm" "ws://127.0.0.1:$port/room/talk" <in.pcm
	wait_for 20 there storage/talk.json
	ffmpeg -nostdin -v error -i storage/talk.wav -f s16le out.pcm
	cmp in.pcm out.pcm
	wait_for 3 there tasks/talk.task
	kill -TERM -- "-$PID" # all at once, as Ctrl-C
	ended_well "$PID"
}

@test "stream-pcm waits for a server that is not there yet, and gives up in the end" {
	sound 1 >in.pcm
	start client "$EXAMPLES/stream-pcm" "ws://127.0.0.1:$port/room/late" <in.pcm
	wait_for 5 grep -q "connecting again" client.log
	client=$PID
	start ws msr-ws -p "$port" -o out.frames
	wait_for 10 is_healthy "$port"
	ended_well "$client"
	kill "$PID"
	ended_well "$PID"
	run "$EXAMPLES/stream-pcm" --retries 0 "ws://127.0.0.1:$port/room/never" <in.pcm
	[ "$status" -eq 1 ]
	[[ $output == *"chunks are not safe"* ]]
}

@test "transcribe writes a text beside the recording, and fails for what is none" {
	mkdir storage
	ffmpeg -nostdin -v error -f lavfi -i 'sine=440:duration=1,apad=pad_dur=1,volume=0.5' \
		-f lavfi -i 'sine=880:duration=1' -filter_complex '[0][1]concat=n=2:v=0:a=1' storage/s1.flac
	printf '{"room":"r","session":"s1","duration":3.0,"bytes":%d}\n' "$(stat -c %s storage/s1.flac)" >storage/s1.json
	echo noise >storage/s2.mp3
	echo '{}' >storage/s2.json
	run msr-taskscan --exec "$EXAMPLES/transcribe" --tries 1
	[ "$status" -eq 1 ]
	there tasks/s1.task.done
	there tasks/s2.task.failed
	grep -q '^session s1, room r, 3' storage/s1.txt
	grep -q '^max_volume' storage/s1.txt
	[ "$(grep -c 'sound$' storage/s1.txt)" = 2 ]
	grep -qE '^ +0\.00 - +1\.0[0-9]  sound$' storage/s1.txt
}

@test "the crontab lines run" {
	mkdir -p srv/msr/storage srv/msr/log
	echo x >srv/msr/storage/old.mp3
	echo '{}' >srv/msr/storage/old.json
	touch -d '40 days ago' srv/msr/storage/old.*
	grep -v '^#' "$EXAMPLES/crontab" | grep . | sed 's/^\([^ ]* \)\{5\}//' |
		sed "s|/srv/msr|$PWD/srv/msr|g; s|/usr/local/share/msr/examples/transcribe|true|" >commands
	[ "$(wc -l <commands)" = 2 ]
	sh -e commands
	there srv/msr/tasks/old.task.done
	[ ! -e srv/msr/storage/old.mp3 ]
}

@test "the nginx configuration passes requests, upgrades and prefixes through TLS" {
	command -v nginx >/dev/null || skip "nginx is not installed"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem \
		-out cert.pem -subj /CN=rec.example.org -days 2 2>/dev/null
	tls=$(free_port) plain=$(free_port) sfu=$(free_port)
	{
		echo "daemon off; pid $PWD/nginx.pid; error_log $PWD/error.log; events {}"
		echo "http { access_log off; client_body_temp_path $PWD/t1; proxy_temp_path $PWD/t2; fastcgi_temp_path $PWD/t3; uwsgi_temp_path $PWD/t4; scgi_temp_path $PWD/t5;"
		sed "s|listen 443|listen 127.0.0.1:$tls|; s|listen 80;|listen 127.0.0.1:$plain;|
			s|/etc/letsencrypt/live/rec.example.org/fullchain.pem|$PWD/cert.pem|
			s|/etc/letsencrypt/live/rec.example.org/privkey.pem|$PWD/key.pem|
			s|127.0.0.1:8000|127.0.0.1:$port|; s|127.0.0.1:5000|127.0.0.1:$sfu|" "$EXAMPLES/nginx.conf"
		echo "}"
	} >nginx.conf
	mkdir page
	echo page >page/index.html
	start ws msr-ws -p "$port" -o out.frames --page page
	start nginx /usr/sbin/nginx -c "$PWD/nginx.conf" -e "$PWD/error.log"
	through() { [ "$(curl -sfk "https://127.0.0.1:$tls/health")" = OK ]; }
	wait_for 10 through
	[ "$(curl -sk "https://127.0.0.1:$tls/")" = page ]
	[ "$(curl -sk -o /dev/null -w '%{http_code}' "https://127.0.0.1:$tls/metrics")" = 403 ]
	[ "$(curl -sk -o /dev/null -w '%{http_code}' "https://127.0.0.1:$tls/sfu/rooms")" = 502 ]
	[ "$(curl -s -o /dev/null -w '%{redirect_url}' "http://127.0.0.1:$plain/x")" = "https://127.0.0.1/x" ]
	sound 1 | $PYTHON -c "
import asyncio, json, ssl, sys, websockets
async def main():
    context = ssl._create_unverified_context()
    url = 'wss://127.0.0.1:$tls/room/s1?media=audio&codec=s16le&ack=1'
    async with websockets.connect(url, ssl=context, compression=None) as ws:
        await ws.send(sys.stdin.buffer.read())
        assert json.loads(await ws.recv())['j_type'] == 'ack'
        await ws.send('{\"j_type\":\"end\"}')
asyncio.run(main())"
	grep -q '"ev":"session-end","room":"room","session":"s1"' ws.log
}

@test "the systemd unit names programs and options that exist" {
	if command -v systemd-analyze >/dev/null; then
		sed "s|/usr/local/bin|$(dirname "$(command -v msr-supervise)")|; s|^User=.*||" "$EXAMPLES/msr.service" >msr.service
		systemd-analyze verify --man=no ./msr.service
	fi
	for line in ExecStart ExecStop; do
		command=$(sed -n "s|^$line=/usr/local/bin/||p" "$EXAMPLES/msr.service")
		[[ $command =~ ^msr-supervise\ (run|stop)\ -d\ /srv/msr$ ]]
	done
}
