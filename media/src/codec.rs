//! G.711 (ITU-T G.711, 1988): A-law and µ-law, table driven. The tables are made by the compiler from the definition.

/// A codec this crate can encode and decode. All of them run at 8 kHz, one byte a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    Pcma,
    Pcmu,
}

impl Codec {
    pub const ALL: [Codec; 2] = [Codec::Pcma, Codec::Pcmu];

    /// The encoding name of RFC 3551 (`PCMA`, `PCMU`).
    pub fn name(self) -> &'static str {
        match self {
            Codec::Pcma => "PCMA",
            Codec::Pcmu => "PCMU",
        }
    }
    /// Case does not matter (RFC 8866 §6.6).
    pub fn from_name(name: &str) -> Option<Codec> {
        Codec::ALL
            .into_iter()
            .find(|codec| codec.name().eq_ignore_ascii_case(name))
    }
    /// The static payload type of RFC 3551 §6.
    pub fn payload_type(self) -> u8 {
        match self {
            Codec::Pcma => 8,
            Codec::Pcmu => 0,
        }
    }
    pub fn from_payload_type(payload_type: u8) -> Option<Codec> {
        Codec::ALL
            .into_iter()
            .find(|codec| codec.payload_type() == payload_type)
    }
    /// The byte that decodes to no sound.
    pub fn silence(self) -> u8 {
        self.encode_sample(0)
    }
    pub fn decode_sample(self, byte: u8) -> i16 {
        self.decode_table()[byte as usize]
    }
    pub fn encode_sample(self, sample: i16) -> u8 {
        match self {
            Codec::Pcma => A_ENCODE[(sample as u16 >> 3) as usize],
            Codec::Pcmu => U_ENCODE[(sample as u16 >> 2) as usize],
        }
    }
    /// As many samples as both slices hold.
    pub fn decode(self, bytes: &[u8], pcm: &mut [i16]) {
        let table = self.decode_table();
        for (sample, byte) in pcm.iter_mut().zip(bytes) {
            *sample = table[*byte as usize];
        }
    }
    /// As many samples as both slices hold.
    pub fn encode(self, pcm: &[i16], bytes: &mut [u8]) {
        for (byte, sample) in bytes.iter_mut().zip(pcm) {
            *byte = self.encode_sample(*sample);
        }
    }
    fn decode_table(self) -> &'static [i16; 256] {
        match self {
            Codec::Pcma => &A_DECODE,
            Codec::Pcmu => &U_DECODE,
        }
    }
}

/// Re-codes a payload in place, byte for byte, with no linear step in between.
pub fn transcode(from: Codec, to: Codec, payload: &mut [u8]) {
    let table = match (from, to) {
        (Codec::Pcma, Codec::Pcmu) => &A_TO_U,
        (Codec::Pcmu, Codec::Pcma) => &U_TO_A,
        _ => return,
    };
    for byte in payload {
        *byte = table[*byte as usize];
    }
}

static A_DECODE: [i16; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = a_decode(code as u8);
        code += 1;
    }
    table
};
static U_DECODE: [i16; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = u_decode(code as u8);
        code += 1;
    }
    table
};
/// By the upper 13 bits of the sample: A-law sees no more.
static A_ENCODE: [u8; 8192] = {
    let mut table = [0; 8192];
    let mut index = 0;
    while index < 8192 {
        table[index] = a_encode(((index as u16) << 3) as i16);
        index += 1;
    }
    table
};
/// By the upper 14 bits of the sample: µ-law sees no more.
static U_ENCODE: [u8; 16384] = {
    let mut table = [0; 16384];
    let mut index = 0;
    while index < 16384 {
        table[index] = u_encode(((index as u16) << 2) as i16);
        index += 1;
    }
    table
};
static A_TO_U: [u8; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = u_encode(a_decode(code as u8));
        code += 1;
    }
    table
};
static U_TO_A: [u8; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = a_encode(u_decode(code as u8));
        code += 1;
    }
    table
};

/// The segment of a magnitude whose first segment ends below `1 << bits`.
const fn segment(magnitude: i32, bits: u32) -> u32 {
    let length = 32 - (magnitude as u32).leading_zeros();
    length.saturating_sub(bits)
}

const fn a_decode(code: u8) -> i16 {
    let code = code ^ 0x55; // even bits are inverted on the line
    let segment = (code >> 4) & 7;
    let base = ((code & 0x0f) as i32) << 4;
    let magnitude = if segment == 0 {
        base + 8
    } else {
        (base + 0x108) << (segment - 1)
    };
    (if code & 0x80 != 0 {
        magnitude
    } else {
        -magnitude
    }) as i16
}

const fn a_encode(sample: i16) -> u8 {
    let value = (sample >> 3) as i32;
    let (magnitude, mask) = if value >= 0 {
        (value, 0xd5)
    } else {
        (-value - 1, 0x55)
    };
    let segment = segment(magnitude, 5);
    let shift = if segment < 2 { 1 } else { segment };
    ((segment << 4) as u8 | ((magnitude >> shift) & 0x0f) as u8) ^ mask
}

/// µ-law adds 33 (in 14 bits) before it looks for the segment.
const U_BIAS: i32 = 33;
/// The largest magnitude whose biased form still lies in the last segment.
const U_CLIP: i32 = 8158;

const fn u_decode(code: u8) -> i16 {
    let code = !code;
    let biased = ((((code & 0x0f) as i32) << 3) + (U_BIAS << 2)) << ((code >> 4) & 7);
    let magnitude = biased - (U_BIAS << 2);
    (if code & 0x80 != 0 {
        -magnitude
    } else {
        magnitude
    }) as i16
}

const fn u_encode(sample: i16) -> u8 {
    let value = (sample >> 2) as i32;
    let (magnitude, mask) = if value < 0 {
        (-value, 0x7f)
    } else {
        (value, 0xff)
    };
    let clipped = if magnitude > U_CLIP {
        U_CLIP
    } else {
        magnitude
    };
    let biased = clipped + U_BIAS;
    let segment = segment(biased, 6);
    ((segment << 4) as u8 | ((biased >> (segment + 1)) & 0x0f) as u8) ^ mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_a_round_trip() {
        for codec in Codec::ALL {
            for code in 0..=255u8 {
                let again = codec.encode_sample(codec.decode_sample(code));
                // µ-law has two zeros; the negative one comes back as the positive.
                let expected = if codec == Codec::Pcmu && code == 0x7f {
                    0xff
                } else {
                    code
                };
                assert_eq!(again, expected, "{} {code:#04x}", codec.name());
            }
        }
    }

    #[test]
    fn known_values_of_the_recommendation() {
        assert_eq!(Codec::Pcma.decode_sample(0xd5), 8);
        assert_eq!(Codec::Pcma.decode_sample(0x55), -8);
        assert_eq!(Codec::Pcma.decode_sample(0xaa), 32256);
        assert_eq!(Codec::Pcma.decode_sample(0x2a), -32256);
        assert_eq!(Codec::Pcmu.decode_sample(0xff), 0);
        assert_eq!(Codec::Pcmu.decode_sample(0x80), 32124);
        assert_eq!(Codec::Pcmu.decode_sample(0x00), -32124);
        assert_eq!(Codec::Pcma.silence(), 0xd5);
        assert_eq!(Codec::Pcmu.silence(), 0xff);
    }

    #[test]
    fn every_sample_lands_within_half_a_step_of_its_segment() {
        for codec in Codec::ALL {
            let mut last = i16::MIN;
            for sample in i16::MIN..=i16::MAX {
                let decoded = codec.decode_sample(codec.encode_sample(sample));
                assert!(decoded >= last, "monotonic at {sample}");
                last = decoded;
                let clipped = i32::from(sample).clamp(-32635, 32635);
                let step = (clipped.abs() / 16).max(16);
                assert!(
                    (i32::from(decoded) - clipped).abs() <= step,
                    "{sample} became {decoded}"
                );
            }
        }
    }

    #[test]
    fn the_direct_tables_equal_the_way_through_linear() {
        for (from, to) in [(Codec::Pcma, Codec::Pcmu), (Codec::Pcmu, Codec::Pcma)] {
            for code in 0..=255u8 {
                let mut byte = [code];
                transcode(from, to, &mut byte);
                assert_eq!(byte[0], to.encode_sample(from.decode_sample(code)));
            }
        }
        let mut same = [1, 2, 3];
        transcode(Codec::Pcma, Codec::Pcma, &mut same);
        assert_eq!(same, [1, 2, 3]);
    }
}
