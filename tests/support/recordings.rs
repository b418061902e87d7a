//! Recordings as people bring them, each with its length as ffmpeg decodes it: the box must play what central takes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs ffmpeg in a folder, and gives what it said.
pub fn ffmpeg(folder: &Path, arguments: &str) -> String {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-hide_banner", "-y"]).args(arguments.split(' ')).current_dir(folder);
    let output = command.output().expect("ffmpeg is installed by scripts/setup.sh --tests");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "ffmpeg {arguments}: {said}");
    said
}

/// Returns the microseconds that ffmpeg decodes of a file.
pub fn referee(path: &Path) -> u64 {
    let mut probe = Command::new("ffprobe");
    let shown = "stream=sample_rate,channels";
    probe.args(["-v", "error", "-select_streams", "a:0", "-show_entries", shown, "-of", "csv=p=0"]).arg(path);
    let said = String::from_utf8(probe.output().expect("ffprobe comes with ffmpeg").stdout).unwrap();
    let mut numbers = said.trim().split([',', '\n']).map(|number| number.parse::<u64>().unwrap());
    let (rate, channels) = (numbers.next().unwrap(), numbers.next().unwrap());
    let mut decode = Command::new("ffmpeg");
    decode.args(["-nostdin", "-v", "quiet", "-i"]).arg(path).args(["-f", "s16le", "-"]);
    let bytes = decode.output().unwrap().stdout.len() as u64;
    bytes / 2 / channels * 1_000_000 / rate
}

/// Recordings in forms that only ffmpeg reads, made in a folder, each with the form's name as central says it; the empty
/// one where boxes play it themselves.
pub fn make_foreign(folder: &Path) -> Vec<(PathBuf, &'static str)> {
    let tone = "-f lavfi -i aevalsrc=0.25*sin(440*2*PI*t):d=3:s=44100";
    let picture = "-f lavfi -i color=c=red:s=64x64:r=5:d=3 -shortest -c:v mpeg4";
    let make = |&(name, options, form): &(&str, &str, &'static str)| {
        let picture =
            if options.starts_with("-c:v") { &picture[..picture.len() - "-c:v mpeg4".len()] } else { "" };
        ffmpeg(folder, &format!("{tone} {picture}{options} {name}"));
        (folder.join(name), form)
    };
    let mut made: Vec<_> = FOREIGN.iter().map(make).collect();
    ffmpeg(folder, &format!("{tone} -c:a pcm_s16le -fflags +bitexact -flags:a +bitexact plain.wav"));
    fs::write(
        folder.join("old-unix.wav"),
        with_high_byte_first(&fs::read(folder.join("plain.wav")).unwrap()),
    )
    .unwrap();
    made.push((folder.join("old-unix.wav"), "WAV"));
    made
}

/// Turns a WAV of 16 bits and one channel into a RIFX, in which all numbers have their high byte first.
fn with_high_byte_first(wav: &[u8]) -> Vec<u8> {
    // Lengths of the whole, of the form and of the sound; in the form a number of four bytes twice, of two bytes four times.
    let numbers = [4..8, 16..20, 20..22, 22..24, 24..28, 28..32, 32..34, 34..36, 40..44];
    let mut rifx = wav.to_vec();
    numbers.into_iter().for_each(|number| rifx[number].reverse());
    rifx[44..].chunks_exact_mut(2).for_each(|sample| sample.reverse());
    rifx[..4].copy_from_slice(b"RIFX");
    rifx
}

const FOREIGN: [(&str, &str, &str); 22] = [
    ("voice.wma", "-c:a wmav2", "WMA"),
    ("old.wma", "-c:a wmav1", "WMA"),
    ("phone.3gp", "-c:a aac -ar 16000 -ac 1", ""),
    ("pack.wv", "-c:a wavpack", "WV"),
    ("true.tta", "-c:a tta", "TTA"),
    ("film.ac3", "-c:a ac3", "AC3"),
    ("film.mka", "-c:a eac3", "MKA"),
    ("radio.mp2", "-c:a mp2 -b:a 128k", ""),
    ("studio.mp2", "-c:a mp2 -b:a 384k", "MP2"),
    ("studio.wav", "-ar 384000", "WAV"),
    ("sun.au", "-c:a pcm_mulaw -ar 8000", "AU"),
    ("speex.ogg", "-c:a libspeex -ar 16000 -ac 1", "OGG"),
    ("surround.m4a", "-c:a aac -ac 6 -ar 48000", "M4A"),
    ("surround.opus", "-c:a libopus -ac 6 -ar 48000", "OPUS"),
    ("quick.mov", "-c:a adpcm_ima_qt -ac 1", "MOV"),
    ("telephone.mov", "-c:a pcm_mulaw -ar 8000 -ac 1", "MOV"),
    ("old.aifc", "-c:a adpcm_ima_qt -ac 1 -f aiff", "AIFC"),
    ("modem.wav", "-c:a adpcm_yamaha -ac 1", "WAV"),
    ("flash.flv", "-c:a nellymoser -ar 22050 -ac 1", "FLV"),
    ("video.mp4", "-c:v mpeg4 -c:a aac", ""),
    ("video.avi", "-c:v mpeg4 -c:a libmp3lame", "AVI"),
    ("video.ts", "-c:v mpeg2video -r 25 -c:a mp2", "TS"),
];

/// Recordings in every form that is taken, beside those in `tests/fixtures/cases/audio`; made in a folder.
pub fn make(folder: &Path) -> Vec<PathBuf> {
    let tone = "-f lavfi -i aevalsrc=0.25*sin(440*2*PI*t):d=3:s=48000";
    let mut made = Vec::new();
    for (name, options) in FORMS {
        ffmpeg(folder, &format!("{tone} {options} {name}"));
        made.push(folder.join(name));
    }
    let read = |name: &str| fs::read(folder.join(name)).unwrap();
    let mut write = |name: &str, bytes: Vec<u8>| {
        fs::write(folder.join(name), bytes).unwrap();
        made.push(folder.join(name));
    };
    let (vbr, plain) = (read("vbr.mp3"), read("plain.mp3"));
    write("id3v1-ape.mp3", [&plain[..], &ape(700), b"TAG", &[b'x'; 125]].concat());
    write("id3v2-twice.mp3", [&id3(5_000), &id3(300), &vbr[..]].concat());
    write("garbage-before.mp3", [&[0x55; 5_000], &plain[..]].concat());
    write("garbage-between.mp3", [&plain[..20_000], &[0x55; 777], &plain[20_000..]].concat());
    write(
        "joined-with-tags.mp3",
        [&vbr[..], b"TAG", &[b'x'; 125], &id3(900), &read("mono-22k.mp3")].concat(),
    );
    write("joined-bare.mp3", [&plain[..], &plain].concat());
    write("cut-off.mp3", plain[..plain.len() - 200].to_vec());
    write("joined.aac", [read("44k.aac"), read("22k-mono.aac"), read("44k.aac")].concat());
    write("cut-off.aac", {
        let bytes = read("44k.aac");
        bytes[..bytes.len() - 100].to_vec()
    });
    write("byte-behind.caf", [&read("pcm.caf")[..], b"\n"].concat());
    // What came before a connection ended.
    for name in ["pcm.caf", "a.aiff", "32k.m4a", "opus.webm", "aac.mkv", "late-sound.mkv"] {
        let bytes = read(name);
        write(&format!("cut-off-{name}"), bytes[..bytes.len() * 6 / 10].to_vec());
        write(&format!("cut-a-byte-off-{name}"), bytes[..bytes.len() - 1].to_vec());
    }
    // An index behind the sound, and pages as long as the sound.
    for name in ["a.m4a", "alac.m4a", "flac.ogg"] {
        let bytes = read(name);
        write(&format!("cut-a-byte-off-{name}"), bytes[..bytes.len() - 1].to_vec());
    }
    let junk: Vec<u8> = (0..700u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for (name, behind) in [("a-byte-behind.flac", &b"\n"[..]), ("junk-behind.flac", &junk)] {
        write(name, [&read("a.flac")[..], behind].concat());
    }
    write("zeros-before.mp3", [&[0; 3_000], &vbr[..]].concat());
    write("ape-before.mp3", [&ape(700), &vbr[..]].concat());
    let mut open = read("pcm.caf");
    let at = 4 + open.windows(4).position(|word| word == b"data").unwrap();
    open[at..at + 8].fill(0xff);
    write("open.caf", open);
    write("id3v1.flac", [&read("a.flac")[..], b"TAG", &[b'x'; 125]].concat());
    write("id3v2.wav", [&id3(900)[..], &read("16.wav")].concat());
    let mut timeless = read("a.m4a");
    let at = 16 + timeless.windows(4).position(|word| word == b"mvhd").unwrap();
    timeless[at..at + 4].fill(0xff);
    write("timeless.m4a", timeless);
    let wav = read("16.wav");
    for (n, size) in [0x7fff_f000u32, u32::MAX, 0].into_iter().enumerate() {
        let mut lying = wav.clone();
        let at = 4 + lying.windows(4).position(|word| word == b"data").unwrap();
        lying[at..at + 4].copy_from_slice(&size.to_le_bytes());
        write(&format!("lying-{n}.wav"), lying);
    }
    write("cut-off.wav", wav[..wav.len() - 10_001].to_vec());
    let mut flac = read("a.flac");
    flac[21] &= 0xf0;
    flac[22..26].fill(0);
    write("no-length.flac", flac);
    for (name, of) in [("wrong-granules.ogg", "a.ogg"), ("wrong-granules.opus", "a.opus")] {
        write(name, with_granules(read(of), |granule| granule.wrapping_mul(7)));
    }
    made
}

/// Recordings joined in ways that ffmpeg does not follow, with the seconds that sound.
pub fn make_joined(folder: &Path) -> Vec<(PathBuf, f64)> {
    make(folder);
    // A head, and nothing of what it promises.
    fs::write(folder.join("broken.flac"), b"fLaC\0\0\0\x22nothing").unwrap();
    let read = |name: &str| fs::read(folder.join(name)).unwrap();
    let of = |name: &str| referee(&folder.join(name)) as f64 / 1e6;
    let mut made = Vec::new();
    for (name, parts, seconds) in [
        ("joined.wav", "16.wav 8-bit.wav", 6.0),
        ("chained.ogg", "a.ogg mono.ogg", 6.0),
        ("chained.opus", "a.opus mono.opus", 6.0),
        ("chained-both.ogg", "a.ogg a.opus", 6.0),
        ("joined.flac", "a.flac mono-96k.flac", 6.0),
        ("joined-same.flac", "a.flac a.flac", 6.0),
        ("broken-between.flac", "a.flac broken.flac a.flac", 6.0),
        // Only at the end of a file is cut off what an encoder filled up its last packet with.
        ("joined.webm", "opus.webm opus.webm", 6.0135),
        ("joined-kinds.webm", "vorbis.webm opus.webm", of("vorbis.webm") + 3.0),
        ("joined-open.webm", "open.webm open.webm", 6.0135),
    ] {
        fs::write(folder.join(name), parts.split(' ').map(read).collect::<Vec<_>>().concat()).unwrap();
        made.push((folder.join(name), seconds));
    }
    made
}

/// Every form that ffmpeg writes here, with its options.
const FORMS: [(&str, &str); 47] = [
    ("plain.mp3", "-ar 44100 -b:a 128k -write_xing 0"),
    ("vbr.mp3", "-ar 44100 -q:a 4"),
    ("vbr-no-xing.mp3", "-ar 48000 -q:a 6 -write_xing 0"),
    ("mono-22k.mp3", "-ar 22050 -ac 1"),
    ("8k.mp3", "-ar 8000 -ac 1"),
    ("44k.mp2", "-ar 44100 -b:a 128k"),
    ("16k.mp2", "-ar 16000 -b:a 64k -ac 1"),
    ("44k.aac", "-ar 44100 -ac 2"),
    ("22k-mono.aac", "-ar 22050 -ac 1"),
    ("a.m4a", "-ar 44100 -ac 2"),
    ("32k.m4a", "-ar 32000 -ac 1 -movflags faststart"),
    ("fragmented.mp4", "-ar 48000 -c:a aac -movflags frag_keyframe+empty_moov+default_base_moof"),
    ("alac.m4a", "-c:a alac -ar 44100"),
    ("alac.caf", "-c:a alac"),
    ("pcm.caf", "-c:a pcm_s16be"),
    ("pcm-24.caf", "-c:a pcm_s24le -ar 44100"),
    ("a.flac", "-ar 44100"),
    ("mono-96k.flac", "-ar 96000 -ac 1"),
    ("flac.ogg", "-c:a flac"),
    ("a.ogg", "-c:a libvorbis -ar 44100"),
    ("mono.ogg", "-c:a libvorbis -ar 22050 -ac 1"),
    ("a.opus", "-c:a libopus -b:a 48k"),
    ("mono.opus", "-c:a libopus -b:a 24k -ac 1 -frame_duration 60"),
    ("opus.webm", "-c:a libopus -b:a 48k"),
    ("vorbis.webm", "-c:a libvorbis -ar 44100"),
    ("open.webm", "-c:a libopus -b:a 48k -live 1"),
    ("aac.mkv", "-c:a aac -ar 44100"),
    ("mp3.mkv", "-c:a libmp3lame -ar 44100"),
    ("8-bit.wav", "-c:a pcm_u8 -ar 11025 -ac 1"),
    ("16.wav", "-ar 44100 -ac 2"),
    ("24.wav", "-c:a pcm_s24le"),
    ("float.wav", "-c:a pcm_f32le -ac 6"),
    ("alaw.wav", "-c:a pcm_alaw -ar 8000"),
    ("ms.wav", "-c:a adpcm_ms -ar 16000"),
    ("ima.wav", "-c:a adpcm_ima_wav -ar 16000 -ac 1"),
    ("mp3.wav", "-c:a libmp3lame -ar 44100"),
    ("rf64.wav", "-rf64 always"),
    ("a.w64", "-ar 44100 -c:a pcm_s24le"),
    ("a.aiff", "-ar 44100 -c:a pcm_s24be"),
    ("mp3.mp4", "-c:a libmp3lame -ar 44100"),
    ("opus.mp4", "-c:a libopus"),
    ("flac.mp4", "-c:a flac -strict -2"),
    ("pcm.mov", "-c:a pcm_s16le"),
    ("in24.mov", "-c:a pcm_s24be -ar 44100"),
    ("alaw.caf", "-c:a pcm_alaw -ar 8000"),
    ("late-sound.mkv", "-c:a libopus -output_ts_offset 1"),
    ("adpcm-stereo.wav", "-c:a adpcm_ima_wav -ac 2"),
];

/// A tag with a picture.
fn id3(bytes: usize) -> Vec<u8> {
    let size = [bytes >> 21, bytes >> 14, bytes >> 7, bytes].map(|byte| byte as u8 & 0x7f);
    let picture = [0xff, 0xd8, 0xff, 0xe1, 0x12, 0x34, 0xff, 0x00];
    let picture = picture.into_iter().cycle().take(bytes);
    b"ID3\x03\0\0".iter().copied().chain(size).chain(picture).collect()
}

fn ape(bytes: usize) -> Vec<u8> {
    let mut tag = b"APETAGEX\xd0\x07\0\0".to_vec();
    tag.extend((bytes as u32 + 32).to_le_bytes());
    tag.extend(1u32.to_le_bytes());
    let (mut head, mut foot) = (tag.clone(), tag);
    head.extend(0xa000_0000u32.to_le_bytes());
    foot.extend(0x8000_0000u32.to_le_bytes());
    head.resize(32, 0);
    foot.resize(32, 0);
    [head, vec![b'x'; bytes], foot].concat()
}

/// Changes the times of the pages of an Ogg file, with right checksums.
fn with_granules(mut bytes: Vec<u8>, change: impl Fn(u64) -> u64) -> Vec<u8> {
    let mut at = 0;
    while at + 27 <= bytes.len() {
        let segments = usize::from(bytes[at + 26]);
        let body: usize = bytes[at + 27..at + 27 + segments].iter().map(|length| usize::from(*length)).sum();
        let end = at + 27 + segments + body;
        let granule = u64::from_le_bytes(bytes[at + 6..at + 14].try_into().unwrap());
        bytes[at + 6..at + 14].copy_from_slice(&change(granule).to_le_bytes());
        bytes[at + 22..at + 26].fill(0);
        let sum = bytes[at..end].iter().fold(0u32, |sum, byte| {
            (0..8).fold(sum ^ (u32::from(*byte) << 24), |sum, _| (sum << 1) ^ ((sum >> 31) * 0x04c1_1db7))
        });
        bytes[at + 22..at + 26].copy_from_slice(&sum.to_le_bytes());
        at = end;
    }
    bytes
}
