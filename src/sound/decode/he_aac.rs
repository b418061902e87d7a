//! HE-AAC as the AAC-LC that it is built upon: half the rate and no more than half the treble, at its true speed.
//!
//! symphonia decodes that core, but refuses files whose configuration (ISO/IEC 14496-3, 1.6.2.1) begins with what was
//! added to it.

/// Object types: the core, spectral band replication (HE-AAC), and parametric stereo with it (HE-AAC v2).
const LC: u32 = 2;
const SBR: u32 = 5;
const PS: u32 = 29;
/// The rate follows in 24 bits.
const ESCAPED_RATE: u32 = 15;

/// The configuration of the core, where `config` is one of HE-AAC.
pub fn core_config(config: &[u8]) -> Option<[u8; 2]> {
    let bits = u32::from_be_bytes(config.first_chunk().copied()?);
    let take = |from: u32, count: u32| (bits << from) >> (32 - count);
    let (object, rate, channels) = (take(0, 5), take(5, 4), take(9, 4));
    let (high_rate, core) = (take(13, 4), take(17, 5));
    let is_he = [SBR, PS].contains(&object) && core == LC;
    let plain = rate != ESCAPED_RATE && high_rate != ESCAPED_RATE;
    (is_he && plain).then(|| ((LC << 11 | rate << 7 | channels << 3) as u16).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(config: &[u8], expected: Option<[u8; 2]>) {
        assert_eq!(core_config(config), expected, "{config:02x?}");
    }

    #[test]
    fn the_core_is_found() {
        // 22,050 Hz mono under 44,100 Hz, then with parametric stereo.
        check(&[0x2b, 0x8a, 0x08, 0x00], Some([0x13, 0x88]));
        check(&[0xeb, 0x8a, 0x08, 0x00], Some([0x13, 0x88]));
        check(&[0x2b, 0x92, 0x08, 0x00], Some([0x13, 0x90]));
        check(&[0x13, 0x88, 0x56, 0xe5, 0x00], None);
        check(&[0x2b, 0x8a, 0x04, 0x00], None);
        check(&[0x2f, 0x8a, 0x08, 0x00], None);
        check(&[0x2b], None);
    }
}
