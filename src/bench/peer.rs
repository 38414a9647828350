//! rtpengine beside us: the same calls without SIP, set up over its `ng` control protocol (bencode over UDP).

use super::child::free_udp;
use super::process::Process;
use super::rtp;
use anyhow::{Context, Result, bail, ensure};
use engine::clock::Clock;
use media::LocalParams;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::time::Duration;

pub const NAME: &str = "rtpengine";
const PATIENCE: Duration = Duration::from_secs(5);

pub struct Rtpengine {
    pub process: Process,
    control: UdpSocket,
    cookie: u32,
}

impl Rtpengine {
    pub fn start(clock: Clock, core: Option<usize>) -> Result<Rtpengine> {
        let address = free_udp()?;
        let mut command = Command::new("rtpengine");
        command
            .args(["--config-file=none", "--foreground", "--table=-1"])
            .arg("--interface=127.0.0.1")
            .arg(format!("--listen-ng={address}"))
            .args(["--port-min=20000", "--port-max=29999"])
            // One core is what it has here, as our engine.
            .args(["--num-threads=1", "--log-level=3", "--log-stderr"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = Process::start(command, core)
            .context("not installed, or not found. FIX: apt install rtpengine-daemon")?;
        let control = UdpSocket::bind((address.ip(), 0))?;
        control.connect(address)?;
        control.set_read_timeout(Some(Duration::from_millis(200)))?;
        let mut peer = Rtpengine {
            process,
            control,
            cookie: 0,
        };
        let deadline = clock.mono() + PATIENCE;
        loop {
            match peer.ask(&[("command", "ping")]) {
                Ok(answer) if answer.windows(4).any(|four| four == b"pong") => return Ok(peer),
                _ => {}
            }
            if let Some(exit) = peer.process.ended() {
                bail!("it ended at once ({exit})");
            }
            ensure!(clock.mono() < deadline, "it does not answer on {address}");
            clock.pause(Duration::from_millis(50));
        }
    }

    /// A call's two parties, and where it takes their packets.
    pub fn call(&mut self, number: u16) -> Result<[(UdpSocket, SocketAddr); 2]> {
        let (ours, at) = rtp::socket()?;
        let (theirs, their_at) = rtp::socket()?;
        let (params, their_params) = (LocalParams::new(at, 1), LocalParams::new(their_at, 2));
        let call = format!("bench-{number}");
        let offer = media::sdp::offer(&params);
        let offered = self.describe(&[
            ("call-id", &call),
            ("command", "offer"),
            ("from-tag", "a"),
            ("sdp", &offer),
        ])?;
        let (answer, to_callee) = media::sdp::answer(&offered, &their_params)?;
        let answered = self.describe(&[
            ("call-id", &call),
            ("command", "answer"),
            ("from-tag", "a"),
            ("sdp", &answer),
            ("to-tag", "b"),
        ])?;
        let to_caller = media::sdp::accept(&params, &answered)?;
        Ok([(ours, to_caller.remote), (theirs, to_callee.remote)])
    }

    /// The SDP of its answer.
    fn describe(&mut self, question: &[(&str, &str)]) -> Result<Vec<u8>> {
        let answer = self.ask(question)?;
        let sdp = value_of(&answer, b"sdp");
        sdp.with_context(|| format!("it answered {}", String::from_utf8_lossy(&answer)))
    }

    fn ask(&mut self, question: &[(&str, &str)]) -> Result<Vec<u8>> {
        self.cookie += 1;
        let cookie = format!("{} ", self.cookie);
        let mut message = cookie.clone().into_bytes();
        message.extend(dictionary(question));
        self.control.send(&message)?;
        let mut buffer = [0; 8192];
        loop {
            let length = self.control.recv(&mut buffer)?;
            // An answer to an earlier question may still come.
            if let Some(answer) = buffer[..length].strip_prefix(cookie.as_bytes()) {
                return Ok(answer.to_vec());
            }
        }
    }
}

/// Bencode: a dictionary of byte strings, its keys in order.
fn dictionary(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut text = String::from("d");
    for (key, value) in entries {
        text.push_str(&format!("{}:{key}{}:{value}", key.len(), value.len()));
    }
    text.push('e');
    text.into_bytes()
}

/// The byte string under a key of a bencoded dictionary, at whatever depth comes first.
fn value_of(mut bencoded: &[u8], wanted: &[u8]) -> Option<Vec<u8>> {
    let mut key_was = false;
    while let Some(first) = bencoded.first() {
        if !first.is_ascii_digit() {
            key_was = false;
            let skip = match first {
                b'i' => bencoded.iter().position(|byte| *byte == b'e')? + 1,
                _ => 1,
            };
            bencoded = &bencoded[skip..];
            continue;
        }
        let colon = bencoded.iter().position(|byte| *byte == b':')?;
        let length: usize = std::str::from_utf8(&bencoded[..colon]).ok()?.parse().ok()?;
        let string = bencoded.get(colon + 1..colon + 1 + length)?;
        bencoded = &bencoded[colon + 1 + length..];
        if key_was {
            return Some(string.to_vec());
        }
        key_was = string == wanted;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bencode_is_written_and_read() {
        let written = dictionary(&[("command", "ping"), ("sdp", "v=0\r\n")]);
        assert_eq!(written, b"d7:command4:ping3:sdp5:v=0\r\ne");
        assert_eq!(value_of(&written, b"sdp").unwrap(), b"v=0\r\n");
        assert_eq!(value_of(&written, b"result"), None);
        let nested = b"d6:result2:ok5:statsd1:ai12ee3:sdp3:abce";
        assert_eq!(value_of(nested, b"sdp").unwrap(), b"abc");
        assert_eq!(value_of(b"d3:sdp99:short", b"sdp"), None);
    }
}
