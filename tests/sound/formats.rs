//! Audio as ffmpeg writes it: every form sounds as it should, and no damage does harm. Loudness is judged by ffmpeg.
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use loaxa_box::player::{self, PlayerConfig};
use loaxa_heart::config::box_file::AmplifierConfig;
use loaxa_heart::config::shaping::{Loudspeaker, Shape, Shaping};
use loaxa_heart::domain::ids::PlayId;
use loaxa_heart::domain::sound::{Cut, End, Fault, FileRef, PlayerCommand, PlayerEvent, Score, Sound};
use loaxa_heart::domain::time::Span;
use loaxa_sound::decode::resampled::Resampled;
use loaxa_sound::level::limiter::Limiter;
use loaxa_sound::tts::Speech;
use loaxa_sound::{Frame, RATE, decode, span_of};

const TARGET_LUFS: f64 = -18.0;

fn ffmpeg(folder: &Path, arguments: &str) -> String {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-hide_banner", "-y"]).args(arguments.split(' ')).current_dir(folder);
    let output = command.output().expect("ffmpeg is installed by scripts/setup.sh --tests");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "ffmpeg {arguments}: {said}");
    said
}

/// Decodes a whole file and resamples it, as the player does before its gain.
fn sound_of(path: &Path) -> Result<Vec<Frame>, Fault> {
    let mut sound = Resampled::new(decode::open(path)?)?;
    let mut frames = Vec::new();
    while sound.more(&mut frames)? {
        assert!(frames.len() < 100 * RATE as usize, "{} does not end", path.display());
    }
    Ok(frames)
}

/// The part of the energy of a second in the middle that one frequency has.
fn share_of(frames: &[Frame], hz: f64) -> f64 {
    let middle = &frames[frames.len() / 2 - 24_000..frames.len() / 2 + 24_000];
    let turn = std::f64::consts::TAU * hz / f64::from(RATE);
    let (mut re, mut im, mut energy) = (0.0, 0.0, 0.0);
    for (n, frame) in middle.iter().enumerate() {
        let sample = f64::from(frame[0]);
        re += sample * (turn * n as f64).cos();
        im += sample * (turn * n as f64).sin();
        energy += sample * sample;
    }
    (re * re + im * im) * 2.0 / middle.len() as f64 / energy
}

/// Two seconds of 440 Hz last two seconds and are 440 Hz, to what an encoder puts before and behind.
fn check(folder: &Path, file: &str, options: &str) {
    let tone = "-f lavfi -i aevalsrc=0.25*sin(440*2*PI*t):d=2:s=48000";
    ffmpeg(folder, &format!("{tone} {options} {file}"));
    let frames = sound_of(&folder.join(file)).unwrap_or_else(|fault| panic!("{file} {options}: {fault}"));
    let extra = frames.len() as i64 - 2 * i64::from(RATE);
    assert!((-48..20_000).contains(&extra), "{file} {options}: {extra} frames too many");
    let share = share_of(&frames, 440.0);
    assert!(share > 0.98, "{file} {options}: {share} of it is the tone");
}

#[test]
fn every_form_sounds_at_its_speed() {
    let folder = tempfile::tempdir().unwrap();
    let check = |file: &str, options: &str| check(folder.path(), file, options);
    for rate in [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000] {
        for channels in [1, 2] {
            check("a.mp3", &format!("-ar {rate} -ac {channels}"));
        }
        check("a.m4a", &format!("-ar {rate} -ac 1"));
        check("a.aac", &format!("-ar {rate} -ac 2"));
    }
    for rate in [8_000, 44_100, 48_000, 88_200, 96_000] {
        check("a.flac", &format!("-ar {rate}"));
        for codec in ["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le"] {
            check("a.wav", &format!("-ar {rate} -ac 2 -c:a {codec}"));
        }
        check("a.aiff", &format!("-ar {rate} -c:a pcm_s24be"));
    }
    for codec in ["pcm_alaw", "pcm_mulaw", "adpcm_ms", "adpcm_ima_wav"] {
        check("a.wav", &format!("-ar 16000 -c:a {codec}"));
    }
    check("a.mp3", "-ar 44100 -q:a 4 -write_xing 0");
    check("a.mp2", "-ar 44100 -b:a 128k");
    check("a.ogg", "-ar 44100 -c:a libvorbis");
    for channels in [1, 2] {
        check("a.opus", &format!("-c:a libopus -b:a 48k -ac {channels}"));
    }
    for rate in [16_000, 22_050, 24_000, 32_000, 48_000] {
        check("a.mp2", &format!("-ar {rate} -b:a 64k -ac 1"));
    }
    check("a.wav", "-ar 44100 -ac 6");
    // Of QuickTime the order of bytes is said beside the name of the form.
    for codec in ["pcm_s24be", "pcm_s24le", "pcm_s32be", "pcm_s32le", "pcm_f32be", "pcm_f32le", "pcm_f64be"] {
        check("a.mov", &format!("-ar 44100 -ac 2 -c:a {codec}"));
    }
    for codec in ["pcm_alaw", "pcm_mulaw"] {
        check("a.caf", &format!("-ar 16000 -c:a {codec}"));
    }
}

/// Layer II of one channel has no 384 kbit/s; ffmpeg writes it, and no decoder here reads it.
#[test]
fn what_would_be_silence_alone_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    ffmpeg(folder.path(), "-f lavfi -i sine=d=2:r=48000 -ac 1 -c:a mp2 -b:a 384k a.wav");
    assert!(matches!(sound_of(&folder.path().join("a.wav")), Err(Fault::Damaged { .. })));
}

/// Makes HE-AAC of a file whose sound is at half the rate, as an encoder would have written it: the configuration names
/// the high rate, by which the index counts. No encoder of it is in Debian's main archive.
fn into_he_aac(path: &Path, config: [u8; 4]) {
    let mut bytes = std::fs::read(path).unwrap();
    let place = |name: &[u8], bytes: &[u8]| bytes.windows(4).position(|word| word == name).unwrap();
    // The descriptor with the configuration: ffmpeg writes five bytes of it, for a mono core at 22,050 Hz.
    let esds = place(b"esds", &bytes);
    let config_at =
        esds + bytes[esds..].windows(5).position(|word| word == [0x13, 0x88, 0x56, 0xe5, 0]).unwrap();
    bytes[config_at..config_at + 4].copy_from_slice(&config);
    let mut double = |at: usize| {
        let value = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        bytes[at..at + 4].copy_from_slice(&(2 * value).to_be_bytes());
    };
    // Ticks a second and how many, behind version and two dates; then ticks of the packets, all and the last.
    let media = place(b"mdhd", &std::fs::read(path).unwrap());
    double(media + 16);
    double(media + 20);
    let times = place(b"stts", &std::fs::read(path).unwrap());
    double(times + 16);
    double(times + 24);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn he_aac_sounds_at_its_speed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("he.m4a");
    // As HE-AAC, as HE-AAC v2, and as AAC-LC with an extension at its end.
    for config in [[0x2b, 0x8a, 0x08, 0x00], [0xeb, 0x8a, 0x08, 0x00], [0x13, 0x88, 0x56, 0xe5]] {
        ffmpeg(folder.path(), "-f lavfi -i aevalsrc=0.25*sin(440*2*PI*t):d=2:s=22050 -ac 1 -c:a aac he.m4a");
        into_he_aac(&path, config);
        let frames = sound_of(&path).unwrap_or_else(|fault| panic!("{config:02x?}: {fault}"));
        assert!((96_000..101_000).contains(&frames.len()), "{config:02x?}: {} frames", frames.len());
        assert!(share_of(&frames, 440.0) > 0.98, "{config:02x?}");
        let announced = decode::open(&path).unwrap().length().unwrap();
        assert!((1_990..2_100).contains(&announced.as_millis()), "{config:02x?}: {announced:?}");
    }
}

/// Three seconds of 700 Hz left and 500 Hz right, by Fraunhofer's encoder (fdk-aac 2.0). What its edit list hides is taken
/// off once; ffmpeg 5.1 takes it off twice. HE-AAC v2 has both sides in one, and what spreads them again is not decoded.
#[test]
fn he_aac_of_a_real_encoder_sounds_whole() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sound");
    for (file, least) in [
        ("he-aac-v1.m4a", 0.98),
        ("he-aac-v1-not-announced.m4a", 0.98),
        ("he-aac-v2.m4a", 0.4),
        ("he-aac-v2-stream.aac", 0.4),
    ] {
        let path = folder.join(file);
        let frames = sound_of(&path).unwrap_or_else(|fault| panic!("{file}: {fault}"));
        // A stream has no list, and what the encoder put in front sounds.
        let hidden = if file.ends_with("aac") { 10_000 } else { 0 };
        assert!((144_000..147_000 + hidden).contains(&frames.len()), "{file}: {} frames", frames.len());
        assert!(share_of(&frames, 700.0) > least, "{file}: {}", share_of(&frames, 700.0));
        let announced = decode::open(&path).unwrap().length().unwrap();
        assert!(span_of(frames.len() as u64).0.abs_diff(announced.0) < 24, "{file}: {announced:?}");
    }
}

#[test]
fn a_damaged_page_of_ogg_hides_none_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pages.ogg");
    let tone = "-f lavfi -i aevalsrc=0.25*sin(440*2*PI*t):d=6:s=48000";
    ffmpeg(folder.path(), &format!("{tone} -c:a libvorbis -page_duration 200000 pages.ogg"));
    let mut bytes = std::fs::read(&path).unwrap();
    let pages: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(b"OggS\0")).collect();
    // It says that it is longer than all that follows.
    let page = pages[pages.len() / 2];
    bytes[page + 26..page + 27 + 255].fill(255);
    std::fs::write(&path, bytes).unwrap();
    let frames = sound_of(&path).unwrap();
    assert!(frames.len() > 5 * RATE as usize, "{} frames of {} pages", frames.len(), pages.len());
}

#[test]
fn a_tenth_of_a_second_sounds() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["a.wav", "a.aiff", "a.flac", "a.ogg", "a.opus", "a.mp3", "a.m4a", "a.aac"] {
        ffmpeg(folder.path(), &format!("-f lavfi -i aevalsrc=0.25*sin(440*2*PI*t):d=0.1:s=48000 {file}"));
        let frames = sound_of(&folder.path().join(file)).unwrap_or_else(|fault| panic!("{file}: {fault}"));
        assert!((4_800..10_000).contains(&frames.len()), "{file}: {} frames", frames.len());
        assert!(frames.iter().any(|frame| frame[0].abs() > 0.2), "{file} is silent");
    }
}

/// Most memory that this process ever had, in kilobytes.
fn most_memory_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Six hours, all zeros in a file with holes: decoded to the end, and entered near it.
#[test]
fn six_hours_need_no_more_memory_than_a_minute() {
    const SECONDS: u32 = 6 * 3_600;
    let folder = tempfile::tempdir().unwrap();
    ffmpeg(folder.path(), "-f lavfi -i sine=d=1:r=8000 -bitexact -c:a pcm_s16le a.wav");
    let path = folder.path().join("a.wav");
    let mut bytes = std::fs::read(&path).unwrap();
    assert_eq!(&bytes[36..40], b"data");
    let data = SECONDS * 8_000 * 2;
    bytes[4..8].copy_from_slice(&(data + 36).to_le_bytes());
    bytes[40..44].copy_from_slice(&data.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(u64::from(data) + 44).unwrap();
    let before = most_memory_kb();
    let mut decoder = decode::open(&path).unwrap();
    assert_eq!(decoder.length(), Some(Span::secs(u64::from(SECONDS))));
    let mut frames = 0;
    while let Some(block) = decoder.next_block().unwrap() {
        frames += block.len();
    }
    assert_eq!(frames, SECONDS as usize * 8_000);
    let mut late = Resampled::new(decode::open(&path).unwrap()).unwrap();
    late.seek(Span::secs(u64::from(SECONDS) - 10)).unwrap();
    let mut rest = Vec::new();
    while late.more(&mut rest).unwrap() {}
    assert_eq!(rest.len(), 10 * RATE as usize);
    let more = most_memory_kb() - before;
    assert!(more < 16_000, "{more} kB more than before");
}

#[test]
fn a_stream_of_aac_that_changes_its_rate_keeps_its_pitch() {
    let folder = tempfile::tempdir().unwrap();
    let tone = "-f lavfi -i aevalsrc=0.25*sin(440*2*PI*t):d=3:s=48000 -c:a aac";
    ffmpeg(folder.path(), &format!("{tone} -ar 44100 -ac 2 a.aac"));
    ffmpeg(folder.path(), &format!("{tone} -ar 22050 -ac 1 b.aac"));
    let read = |file: &str| std::fs::read(folder.path().join(file)).unwrap();
    let bytes = std::io::Cursor::new([read("a.aac"), read("b.aac")].concat());
    let mut sound = Resampled::new(decode::open_stream(bytes, "a stream".into()).unwrap()).unwrap();
    let mut frames = Vec::new();
    while sound.more(&mut frames).unwrap() {}
    assert!((288_000..300_000).contains(&frames.len()), "{} frames", frames.len());
    for half in frames.chunks(frames.len() / 2) {
        assert!(half.len() < 2 || share_of(half, 440.0) > 0.98);
    }
}

/// Numbers without a pattern, the same for each seed.
fn noise(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

/// Whatever it decodes to, nothing above full scale leaves the limiter; says whether it sounds.
fn check_harmless(path: &Path, what: &str) -> bool {
    let mut frames = match sound_of(path) {
        Ok(frames) => frames,
        Err(fault) => {
            assert!(fault.to_string().len() > 20, "{what}: {fault}");
            return false;
        }
    };
    Limiter::default().process(&mut frames);
    assert!(frames.iter().flatten().all(|sample| sample.abs() <= 1.0), "{what}");
    true
}

/// Forms that are damaged, with what ffmpeg needs to know to write them.
const FORMS: [(&str, &str); 23] = [
    ("a.mp3", ""),
    ("bare.mp3", "-write_xing 0"),
    ("a.mp2", "-b:a 128k"),
    ("a.m4a", ""),
    ("alac.m4a", "-c:a alac"),
    ("fragmented.mp4", "-c:a aac -movflags frag_keyframe+empty_moov+default_base_moof"),
    ("a.aac", ""),
    ("a.flac", ""),
    ("a.ogg", ""),
    ("a.opus", ""),
    ("opus.webm", "-c:a libopus"),
    ("vorbis.webm", "-c:a libvorbis"),
    ("a.wav", ""),
    ("mp3.wav", "-c:a libmp3lame"),
    ("ima.wav", "-c:a adpcm_ima_wav"),
    ("a.w64", ""),
    ("rf64.wav", "-rf64 always"),
    ("a.caf", ""),
    ("a.aiff", ""),
    ("a.mov", "-c:a pcm_s24be"),
    ("opus.mp4", "-c:a libopus"),
    ("flac.ogg", "-c:a flac"),
    ("aac.mkv", "-c:a aac"),
];

/// `LOAXA_SOAK_MUTATIONS` says how often each form is damaged, without it some times; `LOAXA_SOAK_FORMS` names those that are,
/// without it all.
#[test]
fn damage_does_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let mutations = std::env::var("LOAXA_SOAK_MUTATIONS").ok().map_or(30, |count| count.parse().unwrap());
    let only = std::env::var("LOAXA_SOAK_FORMS").unwrap_or_default();
    let only: Vec<_> = only.split(' ').filter(|form| !form.is_empty()).collect();
    let mut refused = 0;
    for (form, options) in FORMS.into_iter().filter(|(form, _)| only.is_empty() || only.contains(form)) {
        let options = if options.is_empty() { "-vn" } else { options };
        ffmpeg(folder.path(), &format!("-f lavfi -i anoisesrc=d=1:c=pink:r=44100:a=0.5 {options} {form}"));
        let whole = std::fs::read(folder.path().join(form)).unwrap();
        let joined = [&whole[..], &whole].concat();
        // Named as something else: the content counts.
        let hurt = folder.path().join("hurt.wav");
        for seed in 0..mutations {
            let mut next = noise(seed + 1);
            let mut bytes = if seed % 5 == 4 { joined.clone() } else { whole.clone() };
            // Every other time only what stands in front, where the headers are.
            let reach = if seed % 2 == 0 { bytes.len() } else { bytes.len().min(600) };
            for _ in 0..=next() % 60 {
                let at = next() as usize % reach;
                bytes[at] = next() as u8;
            }
            if seed % 4 == 0 {
                bytes.truncate(next() as usize % whole.len());
            }
            std::fs::write(&hurt, &bytes).unwrap();
            refused += u64::from(!check_harmless(&hurt, &format!("{form} with seed {seed}")));
        }
        // Whatever came before, the next one sounds.
        let frames = sound_of(&folder.path().join(form)).unwrap();
        assert!(frames.len() > 47_000, "{form}: {} frames", frames.len());
    }
    eprintln!("{refused} of {} were refused, each with a reason", mutations * FORMS.len() as u64);
}

/// Broadcasters' BW64 is RF64 by another name, also where its size stands in the long header alone.
#[test]
fn larger_kinds_of_wav_are_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    let noise = "-f lavfi -i anoisesrc=d=2:c=pink:r=48000:a=0.5:seed=7 -ac 2 -c:a pcm_s16le";
    for form in ["a.wav", "rf64.wav", "a.w64"] {
        let options = if form == "rf64.wav" { "-rf64 always" } else { "-vn" };
        ffmpeg(folder.path(), &format!("{noise} {options} {form}"));
    }
    let mut bytes = std::fs::read(folder.path().join("rf64.wav")).unwrap();
    assert_eq!(bytes[..4], *b"RF64");
    bytes[..4].copy_from_slice(b"BW64");
    std::fs::write(folder.path().join("bw64.wav"), &bytes).unwrap();
    let plain = sound_of(&folder.path().join("a.wav")).unwrap();
    assert_eq!(plain.len(), 96_000);
    for form in ["rf64.wav", "bw64.wav", "a.w64"] {
        // Named as something else: the content counts.
        let named = folder.path().join(format!("{form}.mp3"));
        std::fs::copy(folder.path().join(form), &named).unwrap();
        assert!(sound_of(&named).unwrap() == plain, "{form}");
    }
}

/// Writes by how much every player makes the sound louder, in 1/256 dB, with the right sum of the page.
fn with_gain(opus: &[u8], gain: i16) -> Vec<u8> {
    let mut bytes = opus.to_vec();
    let head = bytes.windows(8).position(|it| it == b"OpusHead").unwrap();
    bytes[head + 16..head + 18].copy_from_slice(&gain.to_le_bytes());
    bytes[22..26].fill(0);
    let page = &bytes[..head + 19];
    let sum = page.iter().fold(0u32, |sum, byte| {
        (0..8).fold(sum ^ (u32::from(*byte) << 24), |sum, _| (sum << 1) ^ ((sum >> 31) * 0x04c1_1db7))
    });
    bytes[22..26].copy_from_slice(&sum.to_le_bytes());
    bytes
}

#[test]
fn the_gain_in_the_head_of_opus_is_applied() {
    let folder = tempfile::tempdir().unwrap();
    ffmpeg(folder.path(), "-f lavfi -i aevalsrc=0.25*sin(440*2*PI*t):d=1:s=48000 -c:a libopus a.opus");
    let plain = std::fs::read(folder.path().join("a.opus")).unwrap();
    let peak = |gain: i16| {
        let path = folder.path().join("gain.opus");
        std::fs::write(&path, with_gain(&plain, gain)).unwrap();
        sound_of(&path).unwrap().iter().map(|frame| frame[0].abs()).fold(0.0, f32::max)
    };
    let (down, none, up) = (peak(-1_541), peak(0), peak(1_541));
    assert!((down / none - 0.5).abs() < 0.001 && (up / none - 2.0).abs() < 0.004, "{down} {none} {up}");
}

/// Recorders write samples of three bytes into four, at either end; the header says three.
#[test]
fn samples_of_three_bytes_in_four_are_found() {
    let folder = tempfile::tempdir().unwrap();
    ffmpeg(
        folder.path(),
        "-f lavfi -i anoisesrc=d=1:c=pink:r=48000:a=0.5:seed=7 -c:a pcm_s24le -bitexact a.wav",
    );
    let bytes = std::fs::read(folder.path().join("a.wav")).unwrap();
    let plain = sound_of(&folder.path().join("a.wav")).unwrap();
    let at = 8 + bytes.windows(4).position(|it| it == b"data").unwrap();
    let format = 8 + bytes.windows(4).position(|it| it == b"fmt ").unwrap();
    let path = folder.path().join("padded.wav");
    let padded = |place: fn(&[u8; 3]) -> [u8; 4]| {
        let (samples, _) = bytes[at..].as_chunks();
        let mut file = bytes[..at].to_vec();
        file[at - 4..at].copy_from_slice(&(samples.len() as u32 * 4).to_le_bytes());
        file[format + 12] = 4;
        file.extend(samples.iter().flat_map(place));
        std::fs::write(&path, &file).unwrap();
        sound_of(&path)
    };
    assert!(padded(|[a, b, c]| [0, *a, *b, *c]).unwrap() == plain, "above");
    assert!(
        padded(|[a, b, c]| [*a, *b, *c, if c & 0x80 == 0 { 0 } else { 0xff }]).unwrap() == plain,
        "below"
    );
    // What is neither, is not played as noise.
    let float = |[a, b, c]: &[u8; 3]| ((i32::from_le_bytes([0, *a, *b, *c]) >> 8) as f32).to_le_bytes();
    assert!(matches!(padded(float), Err(Fault::Damaged { .. })));
}

/// Recorders of phones put something on all samples; it is neither heard nor a click at the start.
#[test]
fn an_offset_is_taken_off() {
    let folder = tempfile::tempdir().unwrap();
    ffmpeg(folder.path(), "-f lavfi -i aevalsrc=0.1*sin(440*2*PI*t)+0.2:d=3:s=48000 offset.wav");
    let shaping = Shaping::default();
    judged(folder.path(), "offset.wav", shaping);
    let shape = shaping.day;
    let name = format!("offset.wav.{:?}.{}.heard.wav", shape.loudspeaker, shape.compress);
    let heard = sound_of(&folder.path().join(name)).unwrap();
    let middle = &heard[48_000..96_000];
    let mean = middle.iter().map(|frame| frame[0]).sum::<f32>() / middle.len() as f32;
    assert!(mean.abs() < 0.002, "{mean}");
}

#[test]
fn a_header_that_lies_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    ffmpeg(folder.path(), "-f lavfi -i sine=d=1:r=48000 a.wav");
    let whole = std::fs::read(folder.path().join("a.wav")).unwrap();
    let lying = folder.path().join("lying.wav");
    // Rate, channels, bits a sample, bytes of a frame.
    for (at, bytes) in [(24, 4), (22, 2), (34, 2), (32, 2)] {
        for value in [0u32, 1, 3, 255, 65_535, u32::MAX] {
            let mut changed = whole.clone();
            changed[at..at + bytes].copy_from_slice(&value.to_le_bytes()[..bytes]);
            std::fs::write(&lying, &changed).unwrap();
            check_harmless(&lying, &format!("{value} at {at}"));
        }
    }
    let mut changed = whole.clone();
    changed[24..28].copy_from_slice(&1u32.to_le_bytes());
    std::fs::write(&lying, &changed).unwrap();
    assert!(matches!(sound_of(&lying), Err(Fault::Damaged { .. })));
}

/// Plays a file once its loudness is measured, and gives what ffmpeg hears: loudness and true peak.
fn judged(folder: &Path, file: &str, shaping: Shaping) -> (f64, f64) {
    let shape = shaping.day;
    let name = format!("{file}.{:?}.{}", shape.loudspeaker, shape.compress);
    let heard = folder.join(format!("{name}.heard.wav"));
    let state_dir = folder.join(format!("{name}.state"));
    let config = PlayerConfig {
        sink: format!("wav:{}", heard.display()).parse().unwrap(),
        programme_dir: folder.to_owned(),
        media_dir: folder.join("media"),
        speech: Speech::espeak(folder.join("speech")),
        target_lufs: Some(TARGET_LUFS as f32),
        shaping,
        amplifier: AmplifierConfig::default(),
        microphone: None,
        ca: None,
        delay_ms: 0,
        state_dir: state_dir.clone(),
    };
    let (told, events) = channel();
    let player = player::start(config, move |event| drop(told.send(event))).unwrap();
    let file_ref = FileRef::Path(PathBuf::from(file));
    player.measure(&file_ref);
    let deadline = Instant::now() + Duration::from_secs(60);
    let measured = if shape.is_flat() { 1 } else { 2 };
    let entries = || -> usize {
        let text = std::fs::read_to_string(state_dir.join("loudness.json")).unwrap_or_default();
        let found: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let is_offset = |key: &String| key.ends_with(" left") || key.ends_with(" right");
        found.as_object().map_or(0, |all| all.keys().filter(|key| !is_offset(key)).count())
    };
    while entries() < measured {
        assert!(Instant::now() < deadline, "{file} was not measured");
        std::thread::sleep(Duration::from_millis(20));
    }
    let play = PlayId::new(1, 1);
    let parts = vec![Sound::File(file_ref)];
    let score = Score { parts, skip: Span::default(), volume_percent: 100, gain_db: 0.0 };
    player.send(PlayerCommand::Preflight { play, score });
    player.send(PlayerCommand::Play { play, cut: Cut::Now });
    let ended = events.iter().find_map(|event| match event {
        PlayerEvent::Ended { sounded, end, .. } => Some((sounded, end)),
        _ => None,
    });
    let (sounded, end) = ended.expect("it ends");
    assert_eq!(end, End::Whole, "{file}");
    player.shutdown();
    let said = ffmpeg(folder, &format!("-i {} -af ebur128=peak=true -f null -", heard.display()));
    let summary = &said[said.rfind("Summary:").expect("a summary")..];
    let number = |label: &str| -> f64 {
        summary.split(label).nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap().parse().unwrap()
    };
    let (lufs, peak) = (number("I:"), number("Peak:"));
    let own = f64::from(sounded.loudness_lufs.expect("long enough"));
    assert!((own - lufs).abs() <= 0.5, "{file}: the log says {own}, ffmpeg {lufs} LUFS");
    (lufs, peak)
}

#[test]
fn quiet_loud_and_clipped_material_comes_to_one_level() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let text =
        "Thông báo của ủy ban nhân dân xã. Sáng mai tổng vệ sinh đường làng, mời bà con tham gia đông đủ.";
    let status =
        Command::new("espeak-ng").args(["-v", "vi", "-w"]).arg(at.join("words.wav")).arg(text).status();
    assert!(status.expect("espeak-ng is installed by scripts/setup.sh").success());
    ffmpeg(at, "-i words.wav -af volume=-15dB quiet.wav");
    ffmpeg(at, "-i words.wav -af volume=30dB -c:a pcm_s16le clipped.wav");
    ffmpeg(at, "-f lavfi -i anoisesrc=d=8:c=pink:r=44100:a=0.9 -b:a 128k loud.mp3");
    std::thread::scope(|scope| {
        let (full, horn) = (Loudspeaker::Full, Loudspeaker::Horn);
        for (loudspeaker, compress) in [(full, false), (horn, false), (horn, true)] {
            for file in ["quiet.wav", "clipped.wav", "loud.mp3"] {
                let shaping = Shaping { day: Shape { loudspeaker, compress }, night: None };
                scope.spawn(move || {
                    let (lufs, peak) = judged(at, file, shaping);
                    let what = format!("{file} as {shaping:?}");
                    assert!((lufs - TARGET_LUFS).abs() <= 0.5, "{what}: {lufs} LUFS");
                    assert!(peak <= -1.0, "{what}: a true peak of {peak} dBTP");
                });
            }
        }
    });
}
