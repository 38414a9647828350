//! Addresses and ports: can they be had, will the far end find them, is there room for bursts.

use super::finding::Finding;
use crate::config::{Config, route_address};
use engine::RtpPorts;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Ports of the RTP range that are tried.
const SAMPLES: usize = 16;
/// Calls a range should carry at least.
const FEW_CALLS: usize = 50;
/// A burst of registrations after a power cut, in bytes of socket buffer.
const BURST: u64 = 1 << 20;
/// How long a running engine may take to answer.
const ANSWER: Duration = Duration::from_millis(500);

/// What answers on our own addresses already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Running {
    pub http: bool,
    pub sip: bool,
}

/// Asks on the configured addresses whether Huying is there.
pub async fn running(config: &Config) -> Running {
    let http = http_answers(config.http).await;
    // The engine's answers do not name it; its API does.
    Running {
        http,
        sip: http && sip_answers(config.sip),
    }
}

async fn http_answers(address: SocketAddr) -> bool {
    let Ok(client) = reqwest::Client::builder()
        .no_proxy()
        .timeout(ANSWER)
        .build()
    else {
        return false;
    };
    let url = format!("http://{}/readyz", reachable(address));
    // A draining one answers 503; either way the body is ours.
    match client.get(url).send().await {
        Ok(answer) => answer
            .text()
            .await
            .is_ok_and(|body| body.contains("\"draining\"")),
        Err(_) => false,
    }
}

/// OPTIONS, as any SIP monitoring asks.
fn sip_answers(address: SocketAddr) -> bool {
    let to = reachable(address);
    let ask = || -> std::io::Result<bool> {
        let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any)?;
        socket.connect(to)?;
        socket.set_read_timeout(Some(ANSWER))?;
        let local = socket.local_addr()?;
        let options = format!(
            "OPTIONS sip:{to} SIP/2.0\r\nVia: SIP/2.0/UDP {local};rport;branch=z9hG4bKdoctor{}\r\n\
             Max-Forwards: 1\r\nFrom: <sip:doctor@{local}>;tag=doctor\r\nTo: <sip:{to}>\r\n\
             Call-ID: doctor-{}@{local}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
            local.port(),
            std::process::id(),
        );
        socket.send(options.as_bytes())?;
        let mut answer = [0; 4096];
        let length = socket.recv(&mut answer)?;
        Ok(answer[..length].starts_with(b"SIP/2.0"))
    };
    ask().unwrap_or(false)
}

/// Where a local client reaches a listener.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => {
            SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port())
        }
        IpAddr::V6(ip) if ip.is_unspecified() => {
            SocketAddr::new(std::net::Ipv6Addr::LOCALHOST.into(), address.port())
        }
        _ => address,
    }
}

pub fn check(config: &Config, running: Running) -> Vec<Finding> {
    let mut findings = vec![
        bound(
            "SIP port",
            "udp",
            config.sip,
            "--sip",
            running.sip,
            UdpSocket::bind(config.sip).err(),
        ),
        bound(
            "API port",
            "tcp",
            config.http,
            "--http",
            running.http,
            TcpListener::bind(config.http).err(),
        ),
        advertised(config),
    ];
    findings.extend(rtp(config, running.sip));
    findings.push(buffers(read_number("/proc/sys/net/core/rmem_max")));
    findings
}

fn bound(
    subject: &'static str,
    transport: &str,
    address: SocketAddr,
    flag: &str,
    ours: bool,
    error: Option<std::io::Error>,
) -> Finding {
    let Some(error) = error else {
        return Finding::ok(subject, format!("{transport} {address} is free"));
    };
    let port = address.port();
    match error.kind() {
        ErrorKind::AddrInUse if ours => Finding::ok(
            subject,
            format!("{transport} {address} is served by a running huying"),
        ),
        ErrorKind::AddrInUse => Finding::failed(
            subject,
            format!("{transport} {address} is taken by another program"),
            format!(
                "`ss -lnp{} 'sport = :{port}'` shows which; stop it, or choose another with {flag} ADDR:PORT",
                &transport[..1]
            ),
        ),
        ErrorKind::AddrNotAvailable => Finding::failed(
            subject,
            format!("{} is no address of this machine", address.ip()),
            format!("`ip -brief address` lists them; {flag} 0.0.0.0:{port} listens on all"),
        ),
        ErrorKind::PermissionDenied => Finding::failed(
            subject,
            format!("{transport} {address} needs privileges"),
            format!("a port above 1023 with {flag}, or the capability CAP_NET_BIND_SERVICE"),
        ),
        _ => Finding::failed(
            subject,
            format!("{transport} {address}: {error}"),
            format!("another address with {flag}"),
        ),
    }
}

fn advertised(config: &Config) -> Finding {
    const SUBJECT: &str = "advertised IP";
    let ip = match config.advertised_ip() {
        Ok(ip) => ip,
        Err(error) => {
            return Finding::failed(
                SUBJECT,
                error.to_string(),
                "--advertised with this machine's address",
            );
        }
    };
    let is_local = UdpSocket::bind((ip, 0)).is_ok();
    let sip = config.sip.ip();
    let judge = |what: &str, fix: String| Finding::warn(SUBJECT, format!("{ip}: {what}"), fix);
    if ip.is_unspecified() || ip.is_multicast() {
        return Finding::failed(
            SUBJECT,
            format!("{ip} is no address a device can send to"),
            "--advertised with this machine's address",
        );
    }
    let route = route_address();
    if ip.is_loopback() {
        let fix = match route.filter(|route| !route.is_loopback()) {
            Some(route) => format!("--sip 0.0.0.0:{} --advertised {route}", config.sip.port()),
            None => "connect this machine to a network, or set --advertised".into(),
        };
        return judge("only programs on this machine can call", fix);
    }
    if !is_local {
        return judge(
            "not an address of this machine; right behind NAT, when SIP and RTP ports are forwarded here",
            match route {
                Some(route) => format!("if there is no such NAT: --advertised {route}"),
                None => {
                    "if there is no such NAT: --advertised with an address of `ip -brief address`"
                        .into()
                }
            },
        );
    }
    if !sip.is_unspecified() && sip != ip {
        return judge(
            &format!("but SIP listens on {sip} alone"),
            format!(
                "--sip {ip}:{} or --sip 0.0.0.0:{}",
                config.sip.port(),
                config.sip.port()
            ),
        );
    }
    match route {
        Some(route) if route != ip && config.advertised.is_empty() => judge(
            &format!("packets to the outside leave from {route}"),
            format!("--advertised {route}"),
        ),
        _ if is_private(ip) => Finding::ok(
            SUBJECT,
            format!(
                "{ip} (private: devices outside this network need --advertised with the public one)"
            ),
        ),
        _ => Finding::ok(SUBJECT, ip.to_string()),
    }
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

fn rtp(config: &Config, ours: bool) -> Vec<Finding> {
    const SUBJECT: &str = "RTP ports";
    let fix = "--rtp-ports FROM-TO, such as 20000-29999";
    let (from, to) = match config.rtp_ports() {
        Err(error) => return vec![Finding::failed(SUBJECT, error.to_string(), fix)],
        Ok(RtpPorts::System(count)) => {
            let text = format!(
                "{count} chosen by the system, for {} calls; firewalls cannot know them",
                count / 2
            );
            return vec![Finding::warn(SUBJECT, text, fix)];
        }
        Ok(RtpPorts::Range(from, to)) => (from, to),
    };
    let mut findings = vec![range(config.sip.ip(), from..=to, ours)];
    if (from..=to).contains(&config.sip.port()) {
        let text = format!("{from}-{to} holds the SIP port {}", config.sip.port());
        findings.push(Finding::failed(
            SUBJECT,
            text,
            "a range without it, with --rtp-ports",
        ));
    }
    let ephemeral =
        std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut ends = ephemeral
        .split_whitespace()
        .filter_map(|end| end.parse::<u16>().ok());
    if let (Some(low), Some(high)) = (ends.next(), ends.next())
        && from <= high
        && to >= low
    {
        let text = format!(
            "{from}-{to} overlaps {low}-{high}, from which other programs' sockets get theirs"
        );
        let fix = format!(
            "a range below {low} with --rtp-ports, or `sysctl -w net.ipv4.ip_local_reserved_ports={from}-{to}`"
        );
        findings.push(Finding::warn(SUBJECT, text, fix));
    }
    findings
}

fn range(ip: IpAddr, ports: RangeInclusive<u16>, ours: bool) -> Finding {
    const SUBJECT: &str = "RTP ports";
    let (from, to) = (*ports.start(), *ports.end());
    let even: Vec<u16> = ports.filter(|port| port % 2 == 0).collect();
    let calls = even.len() / 2;
    let step = (even.len() / SAMPLES).max(1);
    let tried: Vec<u16> = even.iter().copied().step_by(step).take(SAMPLES).collect();
    let taken: Vec<u16> = tried
        .iter()
        .copied()
        .filter(|port| UdpSocket::bind((ip, *port)).is_err())
        .collect();
    let shown = format!(
        "udp {from}-{to}: {} even ones, for {calls} calls",
        even.len()
    );
    if taken.len() == tried.len() && !ours {
        let fix = "another range with --rtp-ports, or an address of this machine with --sip";
        return Finding::failed(
            SUBJECT,
            format!("{shown}; none of {} tried can be opened", tried.len()),
            fix,
        );
    }
    if calls < FEW_CALLS {
        let fix = "a wider range with --rtp-ports; a call takes two ports";
        return Finding::warn(SUBJECT, shown, fix);
    }
    match taken.first() {
        Some(first) if !ours => Finding::warn(
            SUBJECT,
            format!(
                "{shown}; {} of {} tried are taken, such as {first}",
                taken.len(),
                tried.len()
            ),
            format!(
                "`ss -lnpu 'sport = :{first}'` shows by whom; a range of its own with --rtp-ports"
            ),
        ),
        _ => Finding::ok(SUBJECT, format!("{shown}; {} tried", tried.len())),
    }
}

fn read_number(path: &str) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn buffers(max: Option<u64>) -> Finding {
    const SUBJECT: &str = "UDP buffers";
    match max {
        None => Finding::ok(SUBJECT, "this system does not tell their limit"),
        Some(max) if max < BURST => Finding::warn(
            SUBJECT,
            format!(
                "at most {} kB: a burst of registrations may lose packets",
                max / 1024
            ),
            "`sysctl -w net.core.rmem_max=4194304`, and the same line in /etc/sysctl.d/huying.conf",
        ),
        Some(max) => Finding::ok(SUBJECT, format!("up to {} kB", max / 1024)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::State;

    fn here() -> Config {
        let any = "127.0.0.1:0".parse().unwrap();
        Config {
            sip: any,
            http: any,
            ..Config::default()
        }
    }

    #[test]
    fn a_port_taken_by_somebody_else_fails_and_names_the_way_out() {
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        let config = Config {
            sip: other.local_addr().unwrap(),
            ..here()
        };
        let sip = check(&config, Running::default()).remove(0);
        assert_eq!((sip.subject, sip.state), ("SIP port", State::Failed));
        assert!(sip.fix.contains("--sip"), "{}", sip.fix);
        let sip = check(
            &config,
            Running {
                sip: true,
                http: false,
            },
        )
        .remove(0);
        assert_eq!(sip.state, State::Ok);
    }

    #[test]
    fn an_address_that_is_not_ours_is_told() {
        let config = Config {
            advertised: "203.0.113.9".into(),
            ..here()
        };
        assert_eq!(advertised(&config).state, State::Warn);
        let config = Config {
            advertised: "nonsense".into(),
            ..here()
        };
        assert_eq!(advertised(&config).state, State::Failed);
        let config = Config {
            advertised: "0.0.0.0".into(),
            ..here()
        };
        assert_eq!(advertised(&config).state, State::Failed);
    }

    #[test]
    fn a_narrow_range_warns_and_one_that_is_none_fails() {
        let ports = |ports: &str| {
            let config = Config {
                rtp_ports: ports.into(),
                ..here()
            };
            rtp(&config, false).remove(0)
        };
        assert_eq!(ports("21000-21007").state, State::Warn);
        assert_eq!(ports("9-5").state, State::Failed);
        assert!(
            ports("21000-21999")
                .text
                .contains("500 even ones, for 250 calls")
        );
    }

    #[test]
    fn small_buffers_name_the_sysctl() {
        assert!(buffers(Some(212_992)).fix.contains("net.core.rmem_max"));
        assert_eq!(buffers(Some(4 << 20)).state, State::Ok);
    }
}
