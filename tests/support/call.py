#!/usr/bin/python3
"""Makes the frames of a recorded call without a network, and measures what became of it.

call.py make [options] > frames	  RTP and RTCP records (msr-frame(5)) of a user who sends a picture that
				  flashes white and a tone that beeps in the first 100 ms of each second
call.py media [options] > media	  what ffmpeg makes of such a call, for calls of the same kind that
				  are no longer: make --media FILE
call.py merge FILE...		  the records of several calls in order of their times
call.py measure FILE		  JSON: duration, times of flashes and beeps, their largest distance

FFmpeg encodes and packetises as fast as it can; arrival times are computed from RTP time, so that a
minute takes seconds, and loss, jitter, delays and mutes are exactly what the options say.
"""
import argparse
import json
import pickle
import random
import re
import socket
import struct
import subprocess
import sys
import tempfile

START_US = 1_750_000_000_000_000
CODECS = {'opus': 32, 'vp8': 33, 'vp9': 34, 'h264': 35, 'av1': 36}
# One thread each: with several, libvpx spends most of its time waiting for one in a loop.
ENCODERS = {
    'vp8': ['-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '8', '-b:v', '500k', '-threads', '1'],
    'vp9': ['-c:v', 'libvpx-vp9', '-deadline', 'realtime', '-cpu-used', '8', '-b:v', '500k', '-strict', '-2', '-threads', '1'],
    'av1': ['-c:v', 'libaom-av1', '-usage', 'realtime', '-cpu-used', '8', '-b:v', '500k', '-pix_fmt', 'yuv420p', '-threads', '1'],
    'h264': ['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-profile:v', 'baseline'],
}


def crc_table():
    table = []
    for i in range(256):
        for _ in range(8):
            i = i >> 1 ^ (0x82F63B78 if i & 1 else 0)
        table.append(i)
    return table


TABLE = crc_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def record(kind, codec, body, time_us, part, rate, room, session, storage='', flags=0):
    """One msr-frame(5) record; the body's CRC is left out, as in a ring."""
    ids = room.encode() + session.encode() + storage.encode()
    head = struct.pack('<4sBBBBIBBBBqQIBBH', b'MSRF', 1, kind, flags | 1, codec, len(body), len(room), len(session), len(storage),
                       2 if codec == 32 else 0, time_us, part, rate, 0, 0, 0)
    out = head + struct.pack('<II', crc32c(head + ids), 0) + ids + body
    return out + bytes(-len(out) % 8)


def flash(args):
    """FFmpeg's arguments for the picture, encoded."""
    return ['-f', 'lavfi', '-i', f"color={args.colour}:s={args.size}:r=30:d={args.seconds},"
            "drawbox=enable='lt(mod(t,1),0.1)':c=white:t=fill,noise=alls=4", '-g', '60'] + ENCODERS[args.video]


def leb128(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out) + bytes([n])


def read_leb128(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def packetise_av1(args):
    """The AV1 RTP payload format, which this FFmpeg does not write: one element a packet, cut where needed."""
    ivf = run('ffmpeg', '-v', 'error', *flash(args), '-f', 'ivf', '-')
    packets, at, seq = [], 32, 1000
    for number in range(1 << 30):
        if at >= len(ivf):
            return packets
        size = struct.unpack('<I', ivf[at:at + 4])[0]
        unit, at = ivf[at + 12:at + 12 + size], at + 12 + size
        elements, o = [], 0
        while o < len(unit):
            header = unit[o]
            size, o = read_leb128(unit, o + 1)
            if header >> 3 & 15 != 2:  # no temporal delimiters
                elements.append(bytes([header & ~2]) + unit[o:o + size])
            o += size
        pieces = []
        for element in elements:
            parts = [element[i:i + 1100] for i in range(0, len(element), 1100)]
            for i, part in enumerate(parts):
                new = 8 if not pieces and element[0] >> 3 == 1 else 0
                pieces.append(bytes([0x10 | new | (0x80 if i else 0) | (0x40 if i + 1 < len(parts) else 0)]) + part)
        for i, piece in enumerate(pieces):
            packets.append(struct.pack('>BBHII', 0x80, 96 | (0x80 if i + 1 == len(pieces) else 0), seq & 0xffff,
                                       5000 + number * 3000, 77) + piece)
            seq += 1


def packetise_twice(args):
    """Half of it in one size and half in another, as one stream: the camera was turned, or replaced."""
    half = argparse.Namespace(**{**vars(args), 'seconds': args.seconds / 2, 'then': None})
    first = packetise(half, 'video')
    half.size = args.then
    second = packetise(half, 'video')
    seq, start = struct.unpack('>HI', first[-1][2:4] + first[0][4:8])
    start += int(half.seconds * 90000) - struct.unpack('>I', second[0][4:8])[0]
    for i, packet in enumerate(second):
        head = struct.pack('>HI', (seq + 1 + i) & 0xffff, (struct.unpack('>I', packet[4:8])[0] + start) & 0xffffffff)
        first.append(packet[:2] + head + first[0][8:12] + packet[12:])
    return first


def packetise(args, kind):
    """RTP packets that FFmpeg makes of the flash or the beep."""
    if kind == 'video' and args.then:
        return packetise_twice(args)
    if kind == 'video' and args.video == 'av1':
        return packetise_av1(args)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    sock.bind(('127.0.0.1', 0))
    port = sock.getsockname()[1]
    if kind == 'audio':
        source = ['-f', 'lavfi', '-i', f"aevalsrc=if(lt(mod(t\\,1)\\,0.1)\\,0.8*sin(2*PI*{args.hz}*t)\\,0):s=48000:d={args.seconds}",
                  '-c:a', 'libopus', '-b:a', '48k', '-ac', '2']
    else:
        source = flash(args)
    # Paced well above real time: the socket buffer must not overflow.
    ffmpeg = subprocess.Popen(['ffmpeg', '-v', 'error', '-readrate', '20', *source, '-f', 'rtp', '-pkt_size', '1200',
                            '-payload_type', '111' if kind == 'audio' else '96',
                            f'rtp://127.0.0.1:{port}?rtcpport=9&localrtcpport=0'],
                           stdout=subprocess.DEVNULL)
    packets = []
    sock.settimeout(0.02)
    ended = False
    while True:
        try:
            packet = sock.recv(2048)
            if packet[1] & 0x7f not in (72, 73, 74, 75, 76):  # RTCP
                packets.append(packet)
        except socket.timeout:
            if ended:
                break
            ended = ffmpeg.poll() is not None  # what it sent before is still to be read
    if ffmpeg.returncode:
        sys.exit('ffmpeg failed')
    return packets


def kind_of_media(args, kind):
    return ('audio', args.hz) if kind == 'audio' else ('video', args.video, args.size, args.then, args.colour)


def media(args):
    pickle.dump({kind_of_media(args, kind): (args.seconds, packetise(args, kind)) for kind in args.only}, sys.stdout.buffer)


def made_before(args, kind):
    """Packets of --media, as many as these seconds have."""
    if args.media:
        with open(args.media, 'rb') as f:
            seconds, packets = pickle.load(f).get(kind_of_media(args, kind), (0, []))
        if seconds >= args.seconds:
            first = struct.unpack('>I', packets[0][4:8])[0]
            end = int(args.seconds * (48000 if kind == 'audio' else 90000))
            return [p for p in packets if (struct.unpack('>I', p[4:8])[0] - first) & 0xffffffff < end]
    return None


def arrivals(args, kind, packets):
    """(arrival in us since the start, packet) as the options will have it."""
    clock = 48000 if kind == 'audio' else 90000
    first = struct.unpack('>I', packets[0][4:8])[0]
    stopped = 0
    out = []
    for packet in packets:
        ts = struct.unpack('>I', packet[4:8])[0]
        media_us = ((ts - first) & 0xffffffff) * 1_000_000 // clock
        mute = args.mute and kind == 'audio'
        if mute and args.mute[0] * 1e6 <= media_us < args.mute[1] * 1e6:
            stopped = int((args.mute[1] - args.mute[0]) * clock)
            continue
        if mute and args.frozen:  # RTP time stood still and sequence numbers go on
            packet = packet[:4] + struct.pack('>I', (ts - (stopped if media_us >= args.mute[1] * 1e6 else 0)) & 0xffffffff) + packet[8:]
        delay = random.uniform(0, args.jitter) * 1000 + (args.video_delay * 1000 if kind == 'video' else 0)
        if args.stall and args.stall[0] * 1e6 <= media_us < args.stall[1] * 1e6:
            delay += args.stall[1] * 1e6 - media_us
        if args.hole and media_us >= args.hole[0] * 1e6:
            packet = behind_hole(packet, clock, args.hole[1])
            delay += args.hole[1] * 1e6
        if args.markers and kind == 'video':
            packet = packet[:1] + bytes([packet[1] | 0x80]) + packet[2:]
        lost = any(us <= media_us < us + 20_000 for us in (at * 1e6 for at in args.lose))
        if random.random() * 100 >= args.loss and not lost:
            out.append((int(media_us + delay), kind, packet))
    if mute and args.frozen:
        out = renumber(out)
    return out


HOLE_PACKETS = 50 # a second


def behind_hole(packet, clock, seconds):
    """The packet with the number and the time that it has when so much is missing before it."""
    seq, ts = struct.unpack('>HI', packet[2:8])
    return packet[:2] + struct.pack('>HI', (seq + int(seconds * HOLE_PACKETS)) & 0xffff, (ts + int(seconds * clock)) & 0xffffffff) + packet[8:]


def numbered(items):
    """Items with the whole sequence number, and the flag that tells of a hole before them."""
    last = {}
    for at, kind, body in items:
        seq = struct.unpack('>H', body[2:4])[0]
        before = last.get(kind, seq)
        part = before + ((seq - before + 0x8000) & 0xffff) - 0x8000
        last[kind] = max(part, before)
        yield at, kind, body, part, 4 if part - before > HOLE_PACKETS and kind != 'rtcp' else 0


def renumber(items):
    seq = struct.unpack('>H', items[0][2][2:4])[0]
    return [(at, kind, p[:2] + struct.pack('>H', (seq + i) & 0xffff) + p[4:]) for i, (at, kind, p) in enumerate(items)]


def reports(args, kind, packets):
    """A sender report every two seconds, from a clock that has nothing to do with ours."""
    clock = 48000 if kind == 'audio' else 90000
    first, ssrc = struct.unpack('>II', packets[0][4:12])
    for i in range(int(args.seconds / 2)):
        us = (1_600_000 if kind == 'video' and args.clock != 'right' else 700_000) + i * 2_000_000
        if args.mute and kind == 'audio' and args.frozen and us > args.mute[0] * 1e6:
            continue
        wall = 3_900_000_000_000_000 + us + (1_500_000 if args.clock == 'set' and us > args.seconds / 2 * 1e6 else 0)
        ntp = 0 if args.clock == 'none' else (wall // 1_000_000) << 32 | (wall % 1_000_000 << 32) // 1_000_000
        ts = (first + us * clock // 1_000_000) & 0xffffffff
        yield us, 'rtcp', struct.pack('>BBHIQIII', 0x80, 200, 6, ssrc, ntp, ts, 0, 0)


def make(args):
    random.seed(args.seed)
    items = []
    for kind in ['audio', 'video']:
        if kind in args.only:
            packets = made_before(args, kind) or packetise(args, kind)
            items += arrivals(args, kind, packets)
            if not args.no_reports:
                items += list(reports(args, kind, packets))
    items.sort(key=lambda item: item[0])
    out = sys.stdout.buffer
    begin_us = START_US + int(args.begin * 1e6)
    first = {}
    for at, kind, body, part, flags in numbered(items):
        if args.anew and kind != 'rtcp':
            part -= first.setdefault(kind, part)
            body = body[:11] + bytes([body[11] ^ 1]) + body[12:]
        codec = {'audio': 32, 'video': CODECS[args.video], 'rtcp': 0}[kind]
        rate = {'audio': 48000, 'video': 90000, 'rtcp': 0}[kind]
        for session in sessions(args):
            out.write(record(6 if kind == 'rtcp' else 5, codec, body, begin_us + at, part, rate, args.room, session, args.storage, flags))
    for session in sessions(args):
        if not args.open_end:
            out.write(record(2, 0, b'', begin_us + int(args.seconds * 1e6), 0, 0, args.room, session, args.storage))


def sessions(args):
    return [args.session] if args.copies == 1 else [f'{args.session}{i}' for i in range(args.copies)]


def records(data):
    """(time in us, record) of each record."""
    at = 0
    while at < len(data):
        body, *ids, time_us = struct.unpack_from('<8xIBBBxq', data, at)
        size = (48 + sum(ids) + body + 7) // 8 * 8
        yield time_us, data[at:at + size]
        at += size


def merge(args):
    found = [record for name in args.files for record in records(open(name, 'rb').read())]
    for _, record in sorted(found, key=lambda item: item[0]):
        sys.stdout.buffer.write(record)


def starts(times, levels, threshold):
    """Times at which a level goes above a threshold."""
    return [t for t, level, before in zip(times, levels, [0] + levels) if level > threshold >= before]


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def measure(args):
    info = json.loads(run('ffprobe', '-v', 'error', '-show_format', '-show_streams', '-of', 'json', args.file))
    result = {'duration': float(info['format']['duration']), 'format': info['format']['format_name'],
              'streams': [s['codec_name'] for s in info['streams']]}
    kinds = {s['codec_type'] for s in info['streams']}
    with tempfile.NamedTemporaryFile() as sound:
        # All is decoded once. Silence for gaps would hide what the file says itself: no aresample here.
        command = ['ffmpeg', '-nostdin', '-y', '-v', 'level+warning', '-copyts', '-i', args.file]
        if 'video' in kinds:
            command += ['-map', 'v:0', '-vf', 'scale=16:16,format=yuv420p,signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=-',
                        '-fps_mode', 'passthrough', '-f', 'null', '-']
        if 'audio' in kinds:
            command += ['-map', 'a:0', '-ac', '1', '-ar', '8000', '-f', 's16le', sound.name]
        decoded = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        pcm = sound.read()
    # What a muxer says when two times fall into one tick of it is not the file's fault.
    errors = [line for line in decoded.stderr.decode().splitlines() if 'rror' in line and 'non monotonically' not in line]
    result['errors'] = '\n'.join(errors)[:400] or ('ffmpeg failed' if decoded.returncode else '')
    if 'audio' in kinds:
        samples = struct.unpack(f'<{len(pcm) // 2}h', pcm[:len(pcm) // 2 * 2])
        levels = [max(map(abs, samples[i:i + 40])) for i in range(0, len(samples), 40)]
        first = float(next(s for s in info['streams'] if s['codec_type'] == 'audio').get('start_time', 0))
        result['beeps'] = starts([first + i * 0.005 for i in range(len(levels))], levels, 4000)
        result['sound'] = len(samples) / 8000
    if 'video' in kinds:
        frames = re.findall(rb'pts_time:(\S+)\nlavfi.signalstats.YAVG=(\S+)', decoded.stdout)
        result['frames'] = len(frames)
        result['flashes'] = starts([float(time) for time, _ in frames], [float(light) for _, light in frames], 128)
    if 'beeps' in result and 'flashes' in result:
        near = [min((abs(f - b), f - b) for b in result['beeps'])[1] for f in result['flashes'] if result['beeps']]
        pairs = [d for d in near if abs(d) < 0.4]
        result['skew_ms'] = [round(1000 * d) for d in pairs]
        result['worst_ms'] = max((abs(d) for d in result['skew_ms']), default=None)
    json.dump(result, sys.stdout)
    print()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = parser.add_subparsers(dest='what', required=True)
    source = argparse.ArgumentParser(add_help=False)
    source.add_argument('--seconds', type=float, default=10)
    source.add_argument('--video', choices=ENCODERS, default='vp8')
    source.add_argument('--size', default='320x240')
    source.add_argument('--then', metavar='SIZE', help='of the second half')
    source.add_argument('--only', nargs='+', default=['audio', 'video'])
    source.add_argument('--colour', default='black', help='of the picture between flashes')
    source.add_argument('--hz', type=int, default=1000, help='of the beep')
    sub.add_parser('media', parents=[source])
    m = sub.add_parser('make', parents=[source])
    m.add_argument('--media', help='file of what was made before')
    m.add_argument('--loss', type=float, default=0, help='percent')
    m.add_argument('--lose', type=float, nargs='+', default=[], help='seconds: what is sent within 20 ms from then on is lost')
    m.add_argument('--markers', action='store_true', help='on every packet of the picture')
    m.add_argument('--jitter', type=float, default=0, help='ms')
    m.add_argument('--video-delay', type=float, default=0, help='ms that the picture arrives later than the sound')
    m.add_argument('--mute', type=float, nargs=2, help='from and to second: no sound is sent')
    m.add_argument('--frozen', action='store_true', help='RTP time stands still during the mute')
    m.add_argument('--stall', type=float, nargs=2, help='from and to second: the network delivers nothing, then all')
    m.add_argument('--hole', type=float, nargs=2, help='second, and seconds that are missing there, as when a ring was full')
    m.add_argument('--anew', action='store_true', help='as of a page that was loaded again: another SSRC, numbers from 0')
    m.add_argument('--no-reports', action='store_true')
    m.add_argument('--clock', choices=['right', 'none', 'set'], default='right',
                   help="of reports: none sends 0, one that is set shows 1.5 s more in the second half")
    m.add_argument('--open-end', action='store_true', help='no close at the end')
    m.add_argument('--begin', type=float, default=0, help='seconds that all of it is later')
    m.add_argument('--storage', default='', help='storage id, such as screen')
    m.add_argument('--seed', type=int, default=1)
    m.add_argument('--copies', type=int, default=1, help='so many sessions at once, numbered')
    m.add_argument('--room', default='r')
    m.add_argument('--session', default='anna')
    sub.add_parser('merge').add_argument('files', nargs='+')
    sub.add_parser('measure').add_argument('file')
    args = parser.parse_args()
    {'media': media, 'make': make, 'merge': merge, 'measure': measure}[args.what](args)


if __name__ == '__main__':
    main()
