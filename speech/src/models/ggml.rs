//! whisper.cpp's weight file: twelve header words, mel filters, vocabulary, tensors. Read, and written quantised.

use half::f16;
use std::io::{self, Write};
use std::ops::Range;

const MAGIC: u32 = 0x6767_6d6c;
const HEADER: usize = 48;
/// The header word that names the number format, and its value for q8_0 (quantisation version 2, file type 7).
const FORMAT_WORD: usize = 11;
const Q8_0_FILE: u32 = 2007;
const F32: u32 = 0;
const F16: u32 = 1;
const Q8_0: u32 = 8;
/// Weights of one q8_0 block.
const BLOCK: usize = 32;

#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    #[error("no whisper.cpp weights: {0}")]
    Ggml(&'static str),
    #[error("no CTranslate2 weights: {0}")]
    Ct2(&'static str),
    #[error("the weights lack `{0}`")]
    Tensor(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Little-endian fields of a byte string, one after the other.
pub(super) struct Reader<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
}

impl<'a> Reader<'a> {
    pub fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(n)?)?;
        self.at += n;
        Some(taken)
    }
    pub fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }
    pub fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|b| u16::from_le_bytes([b[0], b[1]]))
    }
    pub fn u32(&mut self) -> Option<u32> {
        self.take(4)
            .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
    }
    pub fn len(&mut self) -> Option<usize> {
        self.u32().map(|n| n as usize)
    }
}

/// One tensor in a file.
pub(super) struct Tensor<'a> {
    pub name: &'a str,
    /// Fastest first, the reverse of the usual order.
    pub dims: Vec<u32>,
    pub format: u32,
    pub data: &'a [u8],
}

/// A weight file in memory.
pub(super) struct Weights<'a> {
    pub header: [u32; 12],
    /// Mel filters and vocabulary, as they stand.
    pub middle: &'a [u8],
    pub tensors: Vec<Tensor<'a>>,
}

impl<'a> Weights<'a> {
    pub fn read(bytes: &'a [u8]) -> Result<Weights<'a>, FormatError> {
        Weights::fields(bytes).ok_or(FormatError::Ggml(
            "the file is cut short or of another kind",
        ))
    }

    fn fields(bytes: &'a [u8]) -> Option<Weights<'a>> {
        let mut reader = Reader { bytes, at: 0 };
        let mut header = [0; 12];
        for word in &mut header {
            *word = reader.u32()?;
        }
        if header[0] != MAGIC {
            return None;
        }
        let Range { start, end } = middle(&mut reader)?;
        let mut tensors = Vec::new();
        while reader.at < bytes.len() {
            let (rank, name, format) = (reader.len()?, reader.len()?, reader.u32()?);
            if rank > 4 {
                return None;
            }
            let dims: Vec<u32> = (0..rank).map(|_| reader.u32()).collect::<Option<_>>()?;
            let name = std::str::from_utf8(reader.take(name)?).ok()?;
            let each = match format {
                F32 => 4,
                F16 => 2,
                _ => return None,
            };
            let size = dims
                .iter()
                .try_fold(each, |n: usize, d| n.checked_mul(*d as usize))?;
            tensors.push(Tensor {
                name,
                dims,
                format,
                data: reader.take(size)?,
            });
        }
        Some(Weights {
            header,
            middle: &bytes[start..end],
            tensors,
        })
    }
}

fn middle(reader: &mut Reader) -> Option<Range<usize>> {
    debug_assert_eq!(reader.at, HEADER);
    let filters = reader.len()?.checked_mul(reader.len()?)?.checked_mul(4)?;
    reader.take(filters)?;
    for _ in 0..reader.len()? {
        let token = reader.len()?;
        reader.take(token)?;
    }
    Some(HEADER..reader.at)
}

pub(super) fn write_head(
    out: &mut impl Write,
    header: &[u32; 12],
    middle: &[u8],
) -> io::Result<()> {
    for word in header {
        out.write_all(&word.to_le_bytes())?;
    }
    out.write_all(middle)
}

fn write_tensor_head(
    out: &mut impl Write,
    name: &str,
    dims: &[u32],
    format: u32,
) -> io::Result<()> {
    for word in [dims.len() as u32, name.len() as u32, format]
        .iter()
        .chain(dims)
    {
        out.write_all(&word.to_le_bytes())?;
    }
    out.write_all(name.as_bytes())
}

/// Writes a tensor as f16 or f32. `shape` is in the usual order.
pub(super) fn write_tensor(
    out: &mut impl Write,
    name: &str,
    shape: &[u32],
    values: &[f32],
    as_f16: bool,
) -> io::Result<()> {
    let dims: Vec<u32> = shape.iter().rev().copied().collect();
    write_tensor_head(out, name, &dims, if as_f16 { F16 } else { F32 })?;
    let bytes: Vec<u8> = if as_f16 {
        values
            .iter()
            .flat_map(|v| f16::from_f32(*v).to_le_bytes())
            .collect()
    } else {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    };
    out.write_all(&bytes)
}

/// f16 weights to q8_0, as whisper.cpp's own tool does it: matrices in blocks of 32 bytes and a scale, all else as it is.
pub fn quantise(f16_weights: &[u8], out: &mut impl Write) -> Result<(), FormatError> {
    let Weights {
        mut header,
        middle,
        tensors,
    } = Weights::read(f16_weights)?;
    if header[FORMAT_WORD] != F16 {
        return Err(FormatError::Ggml("only f16 weights are quantised"));
    }
    header[FORMAT_WORD] = Q8_0_FILE;
    write_head(out, &header, middle)?;
    for Tensor {
        name,
        dims,
        format,
        data,
    } in tensors
    {
        if format == F16 && dims.len() == 2 && (dims[0] as usize).is_multiple_of(BLOCK) {
            write_tensor_head(out, name, &dims, Q8_0)?;
            let blocks: Vec<u8> = data.chunks_exact(2 * BLOCK).flat_map(q8_0).collect();
            out.write_all(&blocks)?;
        } else {
            write_tensor_head(out, name, &dims, format)?;
            out.write_all(data)?;
        }
    }
    Ok(())
}

/// One block: its scale as f16, then 32 signed bytes. Halves round away from zero.
fn q8_0(block: &[u8]) -> [u8; 2 + BLOCK] {
    let mut values = [0.0f32; BLOCK];
    for (value, pair) in values.iter_mut().zip(block.chunks_exact(2)) {
        *value = f16::from_le_bytes([pair[0], pair[1]]).to_f32();
    }
    let largest = values.iter().fold(0.0f32, |most, v| most.max(v.abs()));
    let scale = largest / 127.0;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    let mut out = [0u8; 2 + BLOCK];
    out[..2].copy_from_slice(&f16::from_f32(scale).to_le_bytes());
    for (to, value) in out[2..].iter_mut().zip(values) {
        *to = (value * inverse).round() as i8 as u8;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_keeps_its_values_within_half_a_step() {
        let values: Vec<f32> = (0..32).map(|i| (i as f32 - 15.5) / 10.0).collect();
        let block: Vec<u8> = values
            .iter()
            .flat_map(|v| f16::from_f32(*v).to_le_bytes())
            .collect();
        let packed = q8_0(&block);
        let scale = f16::from_le_bytes([packed[0], packed[1]]).to_f32();
        for (value, byte) in values.iter().zip(&packed[2..]) {
            let back = f32::from(*byte as i8) * scale;
            assert!(
                (back - value).abs() < 0.51 * scale,
                "{value} came back as {back}"
            );
        }
        assert_eq!(q8_0(&[0; 64]), [0; 34]);
    }

    #[test]
    fn files_of_another_kind_are_refused_and_never_panic() {
        assert!(quantise(b"RIFF....WAVE", &mut Vec::new()).is_err());
        let mut header = MAGIC.to_le_bytes().to_vec();
        header.extend([0xff; 60]);
        assert!(quantise(&header, &mut Vec::new()).is_err());
    }
}
