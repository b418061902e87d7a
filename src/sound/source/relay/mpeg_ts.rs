//! The sound in an MPEG transport stream (ISO/IEC 13818-1), as HLS carries it.

const PACKET_BYTES: usize = 188;
const SYNC: u8 = 0x47;
const PAT_PID: u16 = 0;
/// Stream types of sound that can be decoded: MPEG-1 and -2 layers I to III, and AAC in ADTS.
const SOUND_TYPES: [u8; 3] = [0x03, 0x04, 0x0f];

/// Tells whether these are the first bytes of a transport stream.
pub fn is_transport_stream(bytes: &[u8]) -> bool {
    bytes.first() == Some(&SYNC) && bytes.get(PACKET_BYTES).is_none_or(|byte| *byte == SYNC)
}

/// A demultiplexer that takes the first sound of the first programme out of a transport stream.
#[derive(Debug, Default)]
pub struct Demuxer {
    map_pid: Option<u16>,
    sound_pid: Option<u16>,
    /// Bytes after the last whole packet.
    rest: Vec<u8>,
}

impl Demuxer {
    /// Takes bytes, cut anywhere, and appends the sound in them to `out`; what is damaged is passed over.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut waiting = std::mem::take(&mut self.rest);
        waiting.extend_from_slice(bytes);
        let mut left = &waiting[..];
        while let Some(start) = left.iter().position(|byte| *byte == SYNC) {
            left = &left[start..];
            let Some((packet, after)) = left.split_at_checked(PACKET_BYTES) else { break };
            // A byte that only looks like the start of a packet is not followed by one.
            if after.first().is_some_and(|byte| *byte != SYNC) {
                left = &left[1..];
                continue;
            }
            self.packet(packet, out);
            left = after;
        }
        self.rest = if left.first() == Some(&SYNC) { left.to_vec() } else { Vec::new() };
    }

    fn packet(&mut self, packet: &[u8], out: &mut Vec<u8>) {
        let damaged = packet[1] & 0x80 != 0;
        let starts = packet[1] & 0x40 != 0;
        let pid = u16::from_be_bytes([packet[1] & 0x1f, packet[2]]);
        let (has_adaptation, has_payload) = (packet[3] & 0x20 != 0, packet[3] & 0x10 != 0);
        let from = if has_adaptation { 5 + usize::from(packet[4]) } else { 4 };
        let Some(payload) = packet.get(from..).filter(|_| has_payload && !damaged) else { return };
        if pid == PAT_PID && starts {
            self.map_pid = section(payload, 0x00).and_then(first_programme).or(self.map_pid);
        } else if Some(pid) == self.map_pid && starts {
            self.sound_pid = section(payload, 0x02).and_then(first_sound).or(self.sound_pid);
        } else if Some(pid) == self.sound_pid {
            let sound = if starts { pes_payload(payload) } else { Some(payload) };
            out.extend_from_slice(sound.unwrap_or_default());
        }
    }
}

/// A table's section without its length and checksum; tables of sound alone fit into one packet.
fn section(payload: &[u8], table: u8) -> Option<&[u8]> {
    let start = 1 + usize::from(*payload.first()?);
    let section = payload.get(start..)?;
    let length = usize::from(u16::from_be_bytes([*section.get(1)? & 0x0f, *section.get(2)?]));
    let whole = section.get(3..3 + length)?;
    (section[0] == table).then_some(whole.get(..length.checked_sub(4)?)?)
}

fn first_programme(table: &[u8]) -> Option<u16> {
    let programmes = table.get(5..)?.as_chunks::<4>().0;
    let is_programme = |entry: &&[u8; 4]| entry[..2] != [0, 0];
    programmes.iter().find(is_programme).map(|entry| u16::from_be_bytes([entry[2] & 0x1f, entry[3]]))
}

fn first_sound(table: &[u8]) -> Option<u16> {
    let descriptors = usize::from(u16::from_be_bytes([*table.get(7)? & 0x0f, *table.get(8)?]));
    let mut streams = table.get(9 + descriptors..)?;
    loop {
        let entry = streams.get(..5)?;
        if SOUND_TYPES.contains(&entry[0]) {
            return Some(u16::from_be_bytes([entry[1] & 0x1f, entry[2]]));
        }
        let descriptors = usize::from(u16::from_be_bytes([entry[3] & 0x0f, entry[4]]));
        streams = streams.get(5 + descriptors..)?;
    }
}

/// Returns the bytes after the header of a packetised elementary stream.
fn pes_payload(payload: &[u8]) -> Option<&[u8]> {
    let header = payload.get(..9).filter(|header| header[..3] == [0, 0, 1])?;
    payload.get(9 + usize::from(header[8])..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(pid: u16, starts: bool, payload: &[u8]) -> Vec<u8> {
        let [high, low] = pid.to_be_bytes();
        let stuffing = PACKET_BYTES - 4 - payload.len();
        let mut packet = vec![SYNC, high | if starts { 0x40 } else { 0 }, low];
        if stuffing == 0 {
            packet.push(0x10);
        } else {
            packet.extend([0x30, stuffing as u8 - 1]);
            packet.resize(4 + stuffing, 0xff);
        }
        packet.extend(payload);
        packet
    }

    fn stream() -> Vec<u8> {
        let pat = [0, 0x00, 0xb0, 13, 0, 1, 0xc1, 0, 0, 0, 1, 0xe1, 0x00, 9, 9, 9, 9];
        let pmt = [
            0, 0x02, 0xb0, 23, 0, 1, 0xc1, 0, 0, 0xe1, 0x01, 0xf0, 0, 0x1b, 0xe1, 0x01, 0xf0, 0, 0x0f, 0xe1,
            0x02, 0xf0, 0, 9, 9, 9, 9,
        ];
        let pes = [&[0, 0, 1, 0xc0, 0, 0, 0x80, 0x80, 5, 1, 2, 3, 4, 5][..], b"first "].concat();
        let video = packet(0x101, true, &[0, 0, 1, 0xe0, 0, 0, 0x80, 0, 0, 7]);
        [packet(0, true, &pat), packet(0x100, true, &pmt), video, packet(0x102, true, &pes)].concat()
    }

    #[test]
    fn the_sound_is_taken_out_however_it_is_cut() {
        let full = [b'x'; PACKET_BYTES - 4];
        let bytes = [stream(), packet(0x102, false, &full), packet(0x102, false, b" last")].concat();
        assert!(is_transport_stream(&bytes));
        for step in [1, 7, 188, 1_000] {
            let (mut demuxer, mut out) = (Demuxer::default(), Vec::new());
            bytes.chunks(step).for_each(|part| demuxer.push(part, &mut out));
            assert_eq!(out, [b"first ", &full[..], b" last"].concat(), "in steps of {step}");
        }
    }

    #[test]
    fn damage_is_passed_over() {
        let good = stream();
        for at in 0..good.len() {
            for value in [0, 0x47, 0xff] {
                let mut bytes = good.clone();
                bytes[at] = value;
                bytes.extend(packet(0x102, false, b"more"));
                Demuxer::default().push(&bytes, &mut Vec::new());
                Demuxer::default().push(&bytes[at..], &mut Vec::new());
            }
        }
    }
}
