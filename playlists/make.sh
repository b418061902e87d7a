#!/usr/bin/env bash
# Makes all audio of the example commune again, and the pure tones of the sound tests:
#   texts/NAME.txt  --espeak-ng-->  speech        make_music.py  -->  music
# each brought to -18 LUFS and encoded in another format, so that every decoder is used.
# The same versions of espeak-ng and ffmpeg give the same bytes. Needs: espeak-ng ffmpeg python3
set -euo pipefail
cd "$(dirname "$0")"
commune=binh-minh
tones=../tests/fixtures/tones
loudness_lufs=-18
speed_words_a_minute=165
pitch=42 # of 99; a little lower than usual carries further through a horn
# espeak-ng's voice has spikes 20 dB above its mean: they are pressed down, so that speech can be as loud as music
speech_filter="highpass=f=90,acompressor=threshold=-26dB:ratio=4:attack=1:release=60:makeup=4,alimiter=limit=0.5:attack=1:release=40:level=disabled"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$commune/audio" "$tones"

# loudness WAV: integrated loudness in LUFS
loudness() {
    ffmpeg -nostdin -nostats -hide_banner -i "$1" -filter:a ebur128 -f null - 2>&1 |
        awk '/Summary:/ { summary = 1 } summary && $1 == "I:" { print $2; exit }'
}

# encode WAV OUT TITLE CODEC...: at the common loudness, without anything that changes from run to run
encode() {
    local wav=$1 out=$2 title=$3
    shift 3
    local gain_db
    gain_db=$(loudness "$wav" | awk -v target=$loudness_lufs '{ printf "%.1f", target - $1 }')
    ffmpeg -nostdin -v error -y -fflags +bitexact -i "$wav" -filter:a "volume=${gain_db}dB,alimiter=limit=0.7:attack=1:release=40:level=disabled" "$@" \
        -map_metadata -1 -metadata title="$title" -metadata copyright="CC0-1.0" \
        -flags:a +bitexact -fflags +bitexact "$out"
}

# speak NAME VOICE OUT CODEC...
speak() {
    local name=$1 voice=$2 out=$3
    shift 3
    espeak-ng -v "$voice" -s $speed_words_a_minute -p $pitch -g 2 -f "$commune/texts/$name.txt" -w "$work/raw.wav"
    ffmpeg -nostdin -v error -y -i "$work/raw.wav" -filter:a "$speech_filter" -ar 48000 "$work/$name.wav"
    encode "$work/$name.wav" "$commune/audio/$out" "$name" "$@"
}

mp3=(-c:a libmp3lame -b:a 48k -ar 24000)
vorbis=(-c:a libvorbis -q:a 2 -ar 24000)
m4a=(-c:a aac -b:a 48k -ar 32000 -movflags +faststart)

speak loi-chao-sang vi loi-chao-sang.mp3 "${mp3[@]}"
speak loi-chao-chieu vi loi-chao-chieu.mp3 "${mp3[@]}"
speak y-te-sot-xuat-huyet vi y-te-sot-xuat-huyet.mp3 "${mp3[@]}"
# espeak-ng does not speak Tày: another Vietnamese voice stands in, so that the second language can be heard to be played
speak y-te-sot-xuat-huyet.tay vi-vn-x-south y-te-sot-xuat-huyet.tay.ogg "${vorbis[@]}"
speak nong-nghiep-lua vi nong-nghiep-lua.m4a "${m4a[@]}"
speak giao-thong vi giao-thong.ogg "${vorbis[@]}"
speak phap-luat-lua-dao vi phap-luat-lua-dao.mp3 "${mp3[@]}"
speak mua-bao-chuan-bi vi mua-bao-chuan-bi.m4a "${m4a[@]}"
speak thon-doai-ngam-tran vi thon-doai-ngam-tran.mp3 "${mp3[@]}"
speak phong-chay vi phong-chay.ogg "${vorbis[@]}"
speak ve-sinh-moi-truong vi ve-sinh-moi-truong.mp3 "${mp3[@]}"
speak chuc-tet vi chuc-tet.mp3 "${mp3[@]}"
speak quoc-khanh vi quoc-khanh.mp3 "${mp3[@]}"
speak loi-ket-sang vi loi-ket-sang.mp3 "${mp3[@]}"
speak loi-ket-chieu vi loi-ket-chieu.mp3 "${mp3[@]}"
speak thong-bao-cat-nuoc vi thong-bao-cat-nuoc.mp3 "${mp3[@]}"
speak khan-cap-bao vi khan-cap-bao.mp3 "${mp3[@]}"

python3 make_music.py "$work"
music() {
    local name=$1 out=$2 title=$3
    shift 3
    encode "$work/$name.wav" "$commune/audio/$out" "$title" "$@"
}
music nhac-hieu nhac-hieu.wav "Nhạc hiệu Bình Minh" -c:a pcm_s16le
music buoi-sang buoi-sang.mp3 "Buổi sáng" -c:a libmp3lame -b:a 128k
music dong-lua dong-lua.flac "Đồng lúa" -c:a flac -compression_level 8
music ben-nuoc ben-nuoc.m4a "Bến nước" -c:a aac -b:a 96k -movflags +faststart
music chieu-lang chieu-lang.ogg "Chiều làng" -c:a libvorbis -q:a 3
music nhac-ket nhac-ket.aac "Nhạc kết" -c:a aac -b:a 64k -f adts

python3 make_music.py --tones "$work"
tone() {
    local hz=$1 extension=$2
    shift 2
    ffmpeg -nostdin -v error -y -fflags +bitexact -i "$work/tone-$hz.wav" "$@" -map_metadata -1 \
        -flags:a +bitexact -fflags +bitexact "$tones/tone-$hz.$extension"
}
tone 440 wav -c:a pcm_s16le
tone 550 mp3 -c:a libmp3lame -b:a 64k
tone 660 flac -c:a flac
tone 770 ogg -c:a libvorbis -q:a 3
tone 880 m4a -c:a aac -b:a 64k -movflags +faststart

du -ch "$commune"/audio/* "$tones"/* | tail -1
