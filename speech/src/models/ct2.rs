//! Whisper weights in CTranslate2's form, written as whisper.cpp's. Mel filters, vocabulary and the order of tensors come
//! from any multilingual whisper.cpp file (tiny), since CTranslate2 keeps them elsewhere.

use super::ggml::{FormatError, Reader, Weights, write_head, write_tensor};
use half::f16;
use std::collections::HashMap;
use std::io::Write;

struct Variable<'a> {
    shape: Vec<u32>,
    kind: u8,
    data: &'a [u8],
}

type Variables<'a> = HashMap<String, Variable<'a>>;

fn read(bytes: &[u8]) -> Option<Variables<'_>> {
    let mut reader = Reader { bytes, at: 0 };
    let _version = reader.u32()?;
    text(&mut reader)?;
    let _revision = reader.u32()?;
    let mut variables = HashMap::new();
    for _ in 0..reader.u32()? {
        let name = text(&mut reader)?;
        let rank = reader.u8()?;
        let shape = (0..rank)
            .map(|_| reader.u32())
            .collect::<Option<Vec<_>>>()?;
        let kind = reader.u8()?;
        let size = reader.len()?;
        variables.insert(
            name,
            Variable {
                shape,
                kind,
                data: reader.take(size)?,
            },
        );
    }
    Some(variables)
}

/// Length, then bytes that end in a zero.
fn text(reader: &mut Reader) -> Option<String> {
    let n = usize::from(reader.u16()?);
    let bytes = reader.take(n)?;
    let end = bytes
        .iter()
        .rposition(|b| *b != 0)
        .map_or(0, |last| last + 1);
    std::str::from_utf8(&bytes[..end]).ok().map(str::to_owned)
}

struct Source<'a>(Variables<'a>);

impl Source<'_> {
    fn get(&self, name: &str) -> Result<(&[u32], Vec<f32>), FormatError> {
        let variable = self
            .0
            .get(name)
            .ok_or_else(|| FormatError::Tensor(name.to_owned()))?;
        // CTranslate2's numbers for float32 and float16; the packages we know hold no others.
        let values = match variable.kind {
            0 => (variable.data.chunks_exact(4))
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect(),
            4 => (variable.data.chunks_exact(2))
                .map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32())
                .collect(),
            _ => return Err(FormatError::Ct2("integer weights")),
        };
        Ok((&variable.shape, values))
    }

    fn layers(&self, side: &str) -> usize {
        (0..)
            .take_while(|n| {
                self.0
                    .contains_key(&format!("{side}/layer_{n}/ffn/layer_norm/gamma"))
            })
            .count()
    }

    /// The tensor whisper.cpp calls `name`: its shape and values.
    fn tensor(&self, name: &str) -> Result<(Vec<u32>, Vec<f32>), FormatError> {
        let (path, part) = place(name).ok_or_else(|| FormatError::Tensor(name.to_owned()))?;
        let (shape, values) = self.get(&path)?;
        let Some((part, of)) = part else {
            return Ok((shape.to_vec(), values));
        };
        // CTranslate2 stacks query, key and value; each is an equal share of the rows.
        let rows = shape.first().copied().unwrap_or(0) / of;
        let each = values.len() / of as usize;
        let mut shape = shape.to_vec();
        shape[0] = rows;
        Ok((
            shape,
            values[part as usize * each..(part as usize + 1) * each].to_vec(),
        ))
    }
}

/// Where CTranslate2 keeps a tensor, and which of how many stacked shares of it.
fn place(name: &str) -> Option<(String, Option<(u32, u32)>)> {
    let (side, rest) = name.split_once('.')?;
    let norm = |at: &str, kind: &str| match kind {
        "weight" => Some((format!("{side}/{at}layer_norm/gamma"), None)),
        "bias" => Some((format!("{side}/{at}layer_norm/beta"), None)),
        _ => None,
    };
    match rest {
        "positional_embedding" => {
            return Some((format!("{side}/position_encodings/encodings"), None));
        }
        "token_embedding.weight" => return Some((format!("{side}/embeddings/weight"), None)),
        _ => {}
    }
    if let Some(kind) = rest.strip_prefix("ln_post.").or(rest.strip_prefix("ln.")) {
        return norm("", kind);
    }
    let Some(rest) = rest.strip_prefix("blocks.") else {
        return Some((format!("{side}/{}", rest.replace('.', "/")), None)); // conv1.weight …
    };
    let (layer, rest) = rest.split_once('.')?;
    let (what, kind) = rest.rsplit_once('.')?;
    let linear = |at: &str, part| Some((format!("{side}/layer_{layer}/{at}/{kind}"), part));
    match what {
        "attn_ln" => norm(&format!("layer_{layer}/self_attention/"), kind),
        "cross_attn_ln" => norm(&format!("layer_{layer}/attention/"), kind),
        "mlp_ln" => norm(&format!("layer_{layer}/ffn/"), kind),
        "attn.query" => linear("self_attention/linear_0", Some((0, 3))),
        "attn.key" => linear("self_attention/linear_0", Some((1, 3))),
        "attn.value" => linear("self_attention/linear_0", Some((2, 3))),
        "attn.out" => linear("self_attention/linear_1", None),
        "cross_attn.query" => linear("attention/linear_0", None),
        "cross_attn.key" => linear("attention/linear_1", Some((0, 2))),
        "cross_attn.value" => linear("attention/linear_1", Some((1, 2))),
        "cross_attn.out" => linear("attention/linear_2", None),
        "mlp.0" => linear("ffn/linear_0", None),
        "mlp.2" => linear("ffn/linear_1", None),
        _ => None,
    }
}

/// The tensors of one block, in whisper.cpp's order.
fn block(side: &str, layer: usize) -> Vec<String> {
    let mut parts = vec![
        "mlp_ln.weight",
        "mlp_ln.bias",
        "mlp.0.weight",
        "mlp.0.bias",
        "mlp.2.weight",
        "mlp.2.bias",
    ]
    .into_iter()
    .map(str::to_owned)
    .collect::<Vec<_>>();
    for attention in ["attn", "cross_attn"] {
        if attention == "cross_attn" && side != "decoder" {
            continue;
        }
        parts.extend(["weight", "bias"].map(|kind| format!("{attention}_ln.{kind}")));
        // Keys have no bias.
        let linear = [
            "query.weight",
            "query.bias",
            "key.weight",
            "value.weight",
            "value.bias",
            "out.weight",
            "out.bias",
        ];
        parts.extend(linear.map(|part| format!("{attention}.{part}")));
    }
    parts
        .into_iter()
        .map(|part| format!("{side}.blocks.{layer}.{part}"))
        .collect()
}

/// Writes f16 whisper.cpp weights.
pub fn convert(ct2: &[u8], template: &[u8], out: &mut impl Write) -> Result<(), FormatError> {
    let source =
        Source(read(ct2).ok_or(FormatError::Ct2("the file is cut short or of another kind"))?);
    let template = Weights::read(template)?;
    let layers = source.layers("encoder");

    // The template's order, its blocks replaced by as many as this model has.
    let mut names: Vec<String> = Vec::new();
    for tensor in &template.tensors {
        let Some((side, _)) = tensor.name.split_once(".blocks.") else {
            names.push(tensor.name.to_owned());
            continue;
        };
        if !names
            .iter()
            .any(|name| name.starts_with(&format!("{side}.blocks.")))
        {
            names.extend((0..layers).flat_map(|layer| block(side, layer)));
        }
    }

    let shape_of = |name: &str| source.tensor(name).map(|(shape, _)| shape);
    let width = |shape: Vec<u32>, index: usize| {
        shape
            .get(index)
            .copied()
            .ok_or(FormatError::Ct2("a matrix of another shape"))
    };
    let state = width(shape_of("encoder.positional_embedding")?, 1)?;
    let words = width(shape_of("decoder.token_embedding.weight")?, 0)?;
    let mels = width(shape_of("encoder.conv1.weight")?, 1)?;
    // magic, vocabulary, then audio and text: context, state, heads, layers; mel bands, f16.
    let [magic, ..] = template.header;
    let depth = layers as u32;
    let header = [
        magic,
        words,
        1500,
        state,
        state / 64,
        depth,
        448,
        state,
        state / 64,
        depth,
        mels,
        1,
    ];
    write_head(out, &header, template.middle)?;
    for name in names {
        let (mut shape, values) = source.tensor(&name)?;
        if name.ends_with("conv1.bias") || name.ends_with("conv2.bias") {
            shape.push(1);
        }
        let as_f16 =
            shape.len() >= 2 && !name.ends_with("positional_embedding") && !name.ends_with(".bias");
        write_tensor(out, &name, &shape, &values, as_f16)?;
    }
    Ok(())
}
