//! Text of unknown encoding as UTF-8: by its mark, else UTF-8 when it is that, else GB18030 (which holds GBK and GB 2312).

use super::SheetError;
use encoding_rs::{CoderResult, Decoder, Encoding, GB18030, UTF_8, UTF_16BE, UTF_16LE};
use std::io::{self, Read};

/// Whether every other byte is nearly always zero: UTF-16 without its mark.
pub fn looks_wide(head: &[u8]) -> bool {
    head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") || zeros(head).is_some()
}

/// 0 when bytes at even places are zero (big end first), 1 at odd places.
fn zeros(head: &[u8]) -> Option<usize> {
    let pairs = head.len() / 2;
    let count = |at: usize| head.chunks_exact(2).filter(|pair| pair[at] == 0).count();
    let text = |b: u8| b >= b' ' || matches!(b, b'\t' | b'\r' | b'\n');
    // Line ends, digits and delimiters are a good part of any table; few other letters have a zero on the other side (一).
    let some = |at: usize| {
        count(at) * 5 >= pairs
            && count(1 - at) * 8 < count(at)
            && head
                .chunks_exact(2)
                .all(|pair| pair[at] != 0 || text(pair[1 - at]))
    };
    [0, 1].into_iter().find(|at| pairs > 2 && some(*at))
}

/// The encoding of a whole file, and how many bytes of it are its mark.
pub fn detect(bytes: &[u8], asked: Option<&str>) -> Result<(&'static Encoding, usize), SheetError> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return Ok((encoding, mark));
    }
    if let Some(label) = asked {
        let encoding = Encoding::for_label(label.as_bytes());
        return encoding
            .map(|encoding| (encoding, 0))
            .ok_or_else(|| SheetError::Encoding(format!("in an encoding called `{label}`")));
    }
    if let Some(at) = zeros(&bytes[..bytes.len().min(4096)]) {
        return Ok((if at == 0 { UTF_16BE } else { UTF_16LE }, 0));
    }
    if std::str::from_utf8(bytes).is_ok() {
        return Ok((UTF_8, 0));
    }
    Ok((GB18030, 0))
}

/// Reads bytes of an encoding as UTF-8, a piece at a time; what it cannot mean is an error.
pub struct Decoded<'a> {
    bytes: &'a [u8],
    decoder: Decoder,
    /// Decoded and not yet read.
    ready: Vec<u8>,
    at: usize,
    done: bool,
}

impl<'a> Decoded<'a> {
    pub fn new(bytes: &'a [u8], encoding: &'static Encoding) -> Decoded<'a> {
        Decoded {
            bytes,
            decoder: encoding.new_decoder_without_bom_handling(),
            ready: Vec::new(),
            at: 0,
            done: false,
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.ready.resize(64 * 1024, 0);
        let (result, read, written, replaced) =
            self.decoder
                .decode_to_utf8(self.bytes, &mut self.ready, true);
        if replaced {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                self.decoder.encoding().name(),
            ));
        }
        self.bytes = &self.bytes[read..];
        self.done = result == CoderResult::InputEmpty;
        self.ready.truncate(written);
        self.at = 0;
        Ok(())
    }
}

impl Read for Decoded<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.at == self.ready.len() && !self.done {
            self.fill()?;
        }
        let n = (self.ready.len() - self.at).min(to.len());
        to[..n].copy_from_slice(&self.ready[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8], asked: Option<&str>) -> Result<String, String> {
        let (encoding, mark) = detect(bytes, asked).map_err(|e| e.to_string())?;
        let mut text = String::new();
        Decoded::new(&bytes[mark..], encoding)
            .read_to_string(&mut text)
            .map_err(|e| e.to_string())?;
        Ok(text)
    }

    fn wide(text: &str, big: bool) -> Vec<u8> {
        text.encode_utf16()
            .flat_map(|unit| {
                if big {
                    unit.to_be_bytes()
                } else {
                    unit.to_le_bytes()
                }
            })
            .collect()
    }

    #[test]
    fn text_is_the_same_in_every_encoding() {
        let text = "姓名,电话\n王一,13800138000\n".repeat(5000);
        let gbk = encoding_rs::GBK.encode(&text).0.into_owned();
        let big5 = encoding_rs::BIG5.encode("姓名,電話\n").0.into_owned();
        let marked = format!("\u{feff}{text}");
        for (name, bytes) in [
            ("utf-8", text.clone().into_bytes()),
            ("marked utf-8", marked.clone().into_bytes()),
            ("gbk", gbk),
            ("utf-16le", wide(&text, false)),
            ("utf-16be", wide(&text, true)),
            ("marked utf-16le", wide(&marked, false)),
            ("marked utf-16be", wide(&marked, true)),
        ] {
            assert!(decoded(&bytes, None).unwrap() == text, "{name}");
        }
        assert_eq!(decoded(&big5, Some("big5")).unwrap(), "姓名,電話\n");
    }

    #[test]
    fn bytes_that_mean_nothing_are_an_error() {
        assert!(decoded(b"\xff\xff\xff\xff,\x80\xff", None).is_err());
        assert!(decoded(b"phone\n\xff1", Some("utf-8")).is_err());
        assert!(decoded(b"phone", Some("klingon")).is_err());
    }
}
