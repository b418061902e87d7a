#!/usr/bin/env python3
"""A time server of the virtual machine's network, with the time of this machine: vm_ntp.py ADDRESS"""
import socket, struct, sys, time

SINCE_1900 = 2_208_988_800


def now():
    return int((time.time() + SINCE_1900) * 2**32)


door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
door.bind((sys.argv[1], 123))
while True:
    asked, client = door.recvfrom(512)
    received = now()
    if len(asked) < 48 or asked[0] & 7 != 3:
        continue
    # RFC 5905: no leap second, version of the question, mode 4; stratum 1; precision of a microsecond; no way to a clock above.
    head = struct.pack("!BBbbII4s", asked[0] & 0x38 | 4, 1, asked[2], -20, 0, 1, b"LOCL")
    door.sendto(head + struct.pack("!Q", received) + asked[40:48] + struct.pack("!QQ", received, now()), client)
