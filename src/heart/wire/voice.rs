//! The stream of a live voice: a WAV header, then 16-bit PCM of one channel until staff have spoken.

/// Samples a second at which staff's voice travels; enough for what a horn gives.
pub const VOICE_HZ: u32 = 16_000;

/// Bytes of the header.
pub const WAV_HEADER_BYTES: usize = 44;

/// Writes the header of a WAV with so many bytes of samples; where the end is not known, its lengths are as large as they
/// can be.
pub fn wav_header(hz: u32, bytes: Option<u32>) -> [u8; WAV_HEADER_BYTES] {
    let after = WAV_HEADER_BYTES as u32 - 8;
    let mut header = [0; WAV_HEADER_BYTES];
    header[..4].copy_from_slice(b"RIFF");
    header[4..8].copy_from_slice(&bytes.map_or(u32::MAX, |bytes| bytes.saturating_add(after)).to_le_bytes());
    header[8..16].copy_from_slice(b"WAVEfmt ");
    header[16..20].copy_from_slice(&16u32.to_le_bytes());
    header[20..22].copy_from_slice(&1u16.to_le_bytes());
    header[22..24].copy_from_slice(&1u16.to_le_bytes());
    header[24..28].copy_from_slice(&hz.to_le_bytes());
    header[28..32].copy_from_slice(&(2 * hz).to_le_bytes());
    header[32..34].copy_from_slice(&2u16.to_le_bytes());
    header[34..36].copy_from_slice(&16u16.to_le_bytes());
    header[36..40].copy_from_slice(b"data");
    header[40..44].copy_from_slice(&bytes.unwrap_or(u32::MAX).to_le_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_that_of_16_bit_pcm_of_one_channel() {
        let fields = |header: [u8; WAV_HEADER_BYTES]| {
            let word = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().unwrap());
            let half = |at: usize| u16::from_le_bytes(header[at..at + 2].try_into().unwrap());
            ([word(4), word(16), word(24), word(28), word(40)], [half(20), half(22), half(32), half(34)])
        };
        let header = wav_header(VOICE_HZ, Some(1_000));
        assert_eq!([&header[..4], &header[8..16], &header[36..40]], [&b"RIFF"[..], b"WAVEfmt ", b"data"]);
        assert_eq!(fields(header), ([1_036, 16, 16_000, 32_000, 1_000], [1, 1, 2, 16]));
        assert_eq!(fields(wav_header(8_000, None)).0, [u32::MAX, 16, 8_000, 16_000, u32::MAX]);
    }
}
