//! The end of the last frame of FLAC (RFC 9639, 9): its sums tell where it ends, whatever stands behind.

/// Bytes at the end of a file in which its last frame is looked for.
pub const LOOKED_AT: u64 = 256 << 10;
/// Places that look like the head of a frame that are tried.
const HEADS_MAX: usize = 4;

/// Finds the end of the last frame that is whole.
pub fn find(tail: &[u8]) -> Option<usize> {
    let heads = (0..tail.len()).rev().filter(|at| is_head(&tail[*at..])).take(HEADS_MAX);
    heads.into_iter().find_map(|at| end(&tail[at..]).map(|bytes| at + bytes))
}

/// The place behind which a frame's sum is right; the last one, as any may be so by chance.
fn end(frame: &[u8]) -> Option<usize> {
    let (mut sum, mut end) = (0u16, None);
    for (at, byte) in frame.iter().enumerate() {
        sum ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            sum = if sum & 0x8000 == 0 { sum << 1 } else { sum << 1 ^ 0x8005 };
        }
        if sum == 0 {
            end = Some(at + 1);
        }
    }
    end
}

/// Tells whether a frame's head with a right sum begins here.
fn is_head(bytes: &[u8]) -> bool {
    let [0xff, 0xf8 | 0xf9, form, channels, number, ..] = *bytes else { return false };
    if form >> 4 == 0 || form & 15 == 15 || channels >> 4 > 10 || channels & 1 == 1 {
        return false;
    }
    let of_number = if number & 0x80 == 0 { 1 } else { number.leading_ones() as usize };
    let of_size = match form >> 4 {
        6 => 1,
        7 => 2,
        _ => 0,
    };
    let of_rate = match form & 15 {
        12 => 1,
        13 | 14 => 2,
        _ => 0,
    };
    let head = bytes.get(..4 + of_number + of_size + of_rate + 1);
    head.is_some_and(|head| {
        head.iter().fold(0u8, |sum, byte| {
            (0..8).fold(sum ^ byte, |sum, _| if sum & 0x80 == 0 { sum << 1 } else { sum << 1 ^ 7 })
        }) == 0
    })
}
