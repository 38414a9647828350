//! A tolerant reader of session descriptions: takes the lines that matter for audio and passes over the rest.

use super::{Direction, SdpError};
use crate::codec::Codec;
use std::net::IpAddr;
use std::time::Duration;

/// Far more than any phone sends.
const MOST_BYTES: usize = 64 * 1024;
const MOST_STREAMS: usize = 32;
const MOST_FORMATS: usize = 128;

/// `Err`: an address was given, and it is none (`bad_address` has it).
type Address = Option<Result<IpAddr, ()>>;

pub struct Description {
    pub address: Address,
    pub bad_address: String,
    pub direction: Option<Direction>,
    pub streams: Vec<Stream>,
}

pub struct Stream {
    /// `audio`, `video` …
    pub kind: String,
    pub port: u16,
    pub protocol: String,
    pub formats: Vec<String>,
    pub address: Address,
    pub direction: Option<Direction>,
    pub ptime: Option<Duration>,
    maps: Vec<Map>,
}

struct Map {
    payload_type: u8,
    name: String,
    clock: u32,
    channels: u32,
}

impl Description {
    pub fn read(body: &[u8]) -> Result<Description, SdpError> {
        if body.len() > MOST_BYTES {
            return Err(SdpError::Malformed("too long"));
        }
        // Free text may be in any encoding (GBK session names); nothing read here is.
        let text = String::from_utf8_lossy(body);
        let mut description = Description {
            address: None,
            bad_address: String::new(),
            direction: None,
            streams: Vec::new(),
        };
        let mut versioned = false;
        for line in text.split(['\r', '\n']) {
            let line = line.trim_end().trim_start_matches(['\u{feff}', ' ', '\t']);
            let Some((kind, value)) = line.split_once('=') else {
                continue;
            };
            let value = value.trim();
            match kind.trim() {
                "v" if value == "0" => versioned = true,
                "v" => return Err(SdpError::Malformed("not version 0")),
                _ if !versioned => return Err(SdpError::Malformed("does not begin with v=0")),
                "m" => {
                    if description.streams.len() == MOST_STREAMS {
                        return Err(SdpError::Malformed("too many streams"));
                    }
                    description.streams.push(Stream::read(value)?);
                }
                "c" => description.connection(value),
                "a" => description.attribute(value),
                _ => {}
            }
        }
        if !versioned {
            return Err(SdpError::Malformed("does not begin with v=0"));
        }
        Ok(description)
    }

    fn connection(&mut self, value: &str) {
        // `IN IP4 192.0.2.1/127/3`; a time to live and a count may follow.
        let text = value.split_whitespace().nth(2).unwrap_or(value);
        let address = text.split('/').next().unwrap_or(text);
        let address = address.trim_start_matches('[').trim_end_matches(']');
        let parsed = address.parse().map_err(|_| ());
        if parsed.is_err() {
            self.bad_address = address.chars().take(80).collect();
        }
        match self.streams.last_mut() {
            Some(stream) => stream.address = stream.address.or(Some(parsed)),
            None => self.address = self.address.or(Some(parsed)),
        }
    }

    fn attribute(&mut self, value: &str) {
        let (name, value) = value.split_once(':').unwrap_or((value, ""));
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        let direction = Direction::from_attribute(&name);
        match self.streams.last_mut() {
            Some(stream) => {
                stream.direction = direction.or(stream.direction);
                match name.as_str() {
                    "rtpmap" => stream.map(value),
                    "ptime" => {
                        // Some send `20.0`, some 0.
                        let ms = value
                            .parse::<f32>()
                            .ok()
                            .filter(|ms| (1.0..=1000.0).contains(ms));
                        stream.ptime = ms
                            .map(|ms| Duration::from_millis(ms as u64))
                            .or(stream.ptime);
                    }
                    _ => {}
                }
            }
            None => self.direction = direction.or(self.direction),
        }
    }
}

impl Stream {
    fn read(value: &str) -> Result<Stream, SdpError> {
        let mut words = value.split_whitespace();
        let (Some(kind), Some(port), Some(protocol)) = (words.next(), words.next(), words.next())
        else {
            return Err(SdpError::Malformed("a stream without port and transport"));
        };
        // `5004/2`: a count of ports may follow.
        let port = port.split('/').next().unwrap_or(port);
        Ok(Stream {
            kind: kind.to_ascii_lowercase(),
            port: port
                .parse()
                .map_err(|_| SdpError::Malformed("a port that is no number"))?,
            protocol: protocol.to_ascii_uppercase(),
            formats: words.take(MOST_FORMATS).map(str::to_owned).collect(),
            address: None,
            direction: None,
            ptime: None,
            maps: Vec::new(),
        })
    }

    fn map(&mut self, value: &str) {
        let mut words = value.split_whitespace();
        let (Some(payload_type), Some(encoding)) = (words.next(), words.next()) else {
            return;
        };
        let Ok(payload_type) = payload_type.parse() else {
            return;
        };
        let mut parts = encoding.split('/');
        let map = Map {
            payload_type,
            name: parts.next().unwrap_or_default().to_owned(),
            clock: parts
                .next()
                .and_then(|clock| clock.parse().ok())
                .unwrap_or(8000),
            channels: parts
                .next()
                .and_then(|channels| channels.parse().ok())
                .unwrap_or(1),
        };
        if self.maps.len() < MOST_FORMATS {
            self.maps.push(map);
        }
    }

    fn payload_types(&self) -> impl Iterator<Item = u8> {
        self.formats
            .iter()
            .filter_map(|format| format.parse().ok())
            .filter(|n| *n < 128)
    }

    fn mapped(&self, payload_type: u8) -> Option<&Map> {
        self.maps
            .iter()
            .find(|map| map.payload_type == payload_type)
    }

    /// The codecs spoken here, in the stream's order.
    pub fn codecs(&self) -> impl Iterator<Item = (u8, Codec)> {
        self.payload_types().filter_map(|payload_type| {
            let codec = match self.mapped(payload_type) {
                Some(map) if map.clock == 8000 && map.channels == 1 => Codec::from_name(&map.name),
                Some(_) => None,
                // RFC 3551 §6: a static type may come without its map.
                None => Codec::from_payload_type(payload_type),
            }?;
            Some((payload_type, codec))
        })
    }

    /// At our codecs' clock; offers for wideband codecs list others beside it.
    pub fn telephone_event(&self) -> Option<u8> {
        self.payload_types().find(|payload_type| {
            self.mapped(*payload_type).is_some_and(|map| {
                map.name.eq_ignore_ascii_case("telephone-event") && map.clock == 8000
            })
        })
    }

    /// For people: what was on offer.
    pub fn describe(&self) -> String {
        let names: Vec<String> = self
            .formats
            .iter()
            .take(16)
            .map(|format| {
                let map = format.parse().ok().and_then(|n| self.mapped(n));
                match map {
                    Some(map) => format!(
                        "{}/{}",
                        map.name.chars().take(32).collect::<String>(),
                        map.clock
                    ),
                    None => match format.as_str() {
                        "0" => "PCMU".into(),
                        "3" => "GSM".into(),
                        "4" => "G723".into(),
                        "8" => "PCMA".into(),
                        "9" => "G722".into(),
                        "18" => "G729".into(),
                        other => other.chars().take(32).collect(),
                    },
                }
            })
            .collect();
        names.join(", ")
    }
}
