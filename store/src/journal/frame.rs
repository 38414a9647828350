//! How records lie in a segment: length (u32), CRC-32 of length and body (u32), body (JSON); both numbers little-endian.
//!
//! What was being written when the process or the machine stopped ends the reading. A damaged record in the middle costs
//! that record alone: reading goes on at the next one that is whole. JSON text holds no zero byte and a length always does,
//! so that nothing a person typed can look like a record.

use serde::Serialize;

pub(super) const HEAD: usize = 8;
/// No record is that long; a length beyond it is damage.
const LONGEST: usize = 1 << 24;

/// Appends one record; its whole length.
pub(super) fn push(
    buffer: &mut Vec<u8>,
    record: &impl Serialize,
) -> Result<usize, serde_json::Error> {
    let start = buffer.len();
    buffer.extend([0; HEAD]);
    if let Err(error) = serde_json::to_writer(&mut *buffer, record) {
        buffer.truncate(start);
        return Err(error);
    }
    let length = ((buffer.len() - start - HEAD) as u32).to_le_bytes();
    let sum = sum(length, &buffer[start + HEAD..]);
    buffer[start..start + 4].copy_from_slice(&length);
    buffer[start + 4..start + HEAD].copy_from_slice(&sum.to_le_bytes());
    Ok(buffer.len() - start)
}

fn sum(length: [u8; 4], body: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&length);
    sum.update(body);
    sum.finalize()
}

fn word(bytes: &[u8], at: usize) -> Option<[u8; 4]> {
    bytes.get(at..at + 4)?.try_into().ok()
}

/// The body of the record that begins here, when one does.
pub(super) fn body(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let length = word(bytes, at)?;
    let size = u32::from_le_bytes(length) as usize;
    let body = bytes.get(at + HEAD..)?.get(..size)?;
    let plausible = size < LONGEST && body.first() == Some(&b'{');
    let told = u32::from_le_bytes(word(bytes, at + 4)?);
    (plausible && told == sum(length, body)).then_some(body)
}

/// The records of a segment, each with where it begins.
pub(super) struct Frames<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Records that were lost between others.
    pub holes: u64,
}

impl<'a> Frames<'a> {
    pub fn of(bytes: &'a [u8]) -> Frames<'a> {
        Frames {
            bytes,
            at: 0,
            holes: 0,
        }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = (usize, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let mut found = body(self.bytes, self.at).map(|body| (self.at, body));
        // The room that is not written yet reads as zeros.
        if found.is_none() && self.bytes.get(self.at..)?.iter().any(|byte| *byte != 0) {
            found = (self.at + 1..self.bytes.len().saturating_sub(HEAD))
                .find_map(|at| Some((at, body(self.bytes, at)?)));
            self.holes += u64::from(found.is_some());
        }
        let (at, body) = found?;
        self.at = at + HEAD + body.len();
        Some((at, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn three() -> (Vec<u8>, Vec<usize>) {
        let mut bytes = Vec::new();
        let lengths = ["first", "second \u{0} and \"quoted\"", "third"]
            .map(|text| push(&mut bytes, &json!({ "text": text })).unwrap());
        (bytes, lengths.to_vec())
    }

    fn count(bytes: &[u8]) -> (usize, u64) {
        let mut frames = Frames::of(bytes);
        (frames.by_ref().count(), frames.holes)
    }

    #[test]
    fn a_torn_tail_ends_the_reading_wherever_it_is_torn() {
        let (bytes, lengths) = three();
        let whole = lengths[0] + lengths[1];
        for cut in 0..bytes.len() {
            let expected = [lengths[0], whole]
                .iter()
                .filter(|end| cut >= **end)
                .count();
            assert_eq!(count(&bytes[..cut]), (expected, 0), "cut at {cut}");
            // The room that was reserved for it follows.
            let mut padded = bytes[..cut].to_vec();
            padded.resize(bytes.len() + 1000, 0);
            assert_eq!(
                count(&padded),
                (expected, 0),
                "cut at {cut}, zeros after it"
            );
        }
        assert_eq!(count(&bytes), (3, 0));
    }

    #[test]
    fn a_flipped_bit_costs_its_record_and_no_other() {
        let (bytes, lengths) = three();
        for bit in lengths[0] * 8..(lengths[0] + lengths[1]) * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(count(&damaged), (2, 1), "bit {bit}");
        }
    }
}
