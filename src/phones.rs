//! Simulated phones, as many as wanted behind one socket: they register, call and are called. Signalling only; whoever
//! drives them brings the media. Used by the doctor and the benches; nothing is shared with the engine but the wire.

use anyhow::{Context, Result};
use engine::clock::Clock;
use model::{Mono, Now};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sip::{Account, Accounts, Credentials, Endpoint, Event, Flow, Invite, InviteId, NameAddr, Uri};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

/// What a phone registers with.
#[derive(Clone, Debug)]
pub struct Line {
    /// What others dial, `1001`.
    pub number: String,
    /// The authentication user, `1001.acme`.
    pub username: String,
    pub password: String,
}

pub struct Phones {
    pub sip: Endpoint,
    clock: Clock,
    socket: UdpSocket,
    local: SocketAddr,
    registrar: SocketAddr,
    realm: String,
    trust: Trust,
    buffer: Vec<u8>,
}

/// Phones take calls from the registrar they are registered with.
struct Trust {
    registrar: SocketAddr,
    account: Arc<Account>,
}

impl Accounts for Trust {
    fn account(&self, _: &str) -> Option<Arc<Account>> {
        None
    }
    fn aor(&self, _: &str, _: &str) -> Option<String> {
        None
    }
    fn trusted(&self, flow: Flow) -> Option<Arc<Account>> {
        (flow.remote == self.registrar).then(|| self.account.clone())
    }
}

impl Phones {
    /// Binds a socket on the registrar's interface.
    pub fn new(clock: Clock, registrar: SocketAddr, realm: &str, seed: [u8; 32]) -> Result<Phones> {
        let socket = UdpSocket::bind(SocketAddr::new(registrar.ip(), 0))
            .context("the simulated phones cannot open a socket")?;
        socket.set_nonblocking(true)?;
        let local = socket.local_addr()?;
        let mut config = sip::Config::new(realm, local);
        config.user_agent = "Huying simulated phones".into();
        let account = Arc::new(Account::from_password("engine", realm, "engine", ""));
        Ok(Phones {
            sip: Endpoint::new(config, seed),
            clock,
            socket,
            local,
            registrar,
            realm: realm.to_owned(),
            trust: Trust { registrar, account },
            buffer: vec![0; 65_535],
        })
    }

    pub fn now(&self) -> Now {
        self.clock.now()
    }

    pub fn register(&mut self, line: &Line) -> Result<()> {
        let registration = sip::Registration {
            flow: Flow::udp(self.local, self.registrar),
            registrar: self.engine_uri("")?,
            aor: Uri::sip(&line.username, &self.realm, None)?,
            contact_user: line.number.clone(),
            credentials: Some(Credentials::new(&line.username, &line.password)),
            expires: Duration::from_secs(600),
        };
        self.sip.register(self.clock.now(), registration);
        Ok(())
    }

    pub fn call(&mut self, line: &Line, number: &str, offer: String) -> Result<InviteId> {
        let target = self.engine_uri(number)?;
        let from = NameAddr::new("", Uri::sip(&line.username, &self.realm, None)?);
        let flow = Flow::udp(self.local, self.registrar);
        let mut invite = Invite::new(flow, target.clone(), from, target, offer);
        invite.credentials = Some(Credentials::new(&line.username, &line.password));
        Ok(self.sip.invite(self.clock.now(), invite))
    }

    fn engine_uri(&self, user: &str) -> Result<Uri> {
        Ok(Uri::sip(
            user,
            &self.registrar.ip().to_string(),
            Some(self.registrar.port()),
        )?)
    }

    /// Sends what is to be sent, then sleeps until a datagram comes, a timer is due or `until`.
    pub fn wait(&mut self, until: Mono) {
        self.flush();
        let until = self.sip.next_deadline().map_or(until, |at| at.min(until));
        let pause = self.clock.until(until);
        let pause = Timespec {
            tv_sec: pause.as_secs() as i64,
            tv_nsec: i64::from(pause.subsec_nanos()),
        };
        let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
        poll(&mut fds, Some(&pause)).ok();
        self.exchange();
    }

    /// Takes what came, fires what is due, sends what is to be sent. Events wait in `sip`.
    pub fn exchange(&mut self) {
        while let Ok((length, remote)) = self.socket.recv_from(&mut self.buffer) {
            let flow = Flow::udp(self.local, remote);
            self.sip
                .receive(self.clock.now(), flow, &self.buffer[..length], &self.trust);
        }
        self.sip.expire(self.clock.now());
        self.flush();
    }

    pub fn flush(&mut self) {
        while let Some(transmit) = self.sip.poll_transmit() {
            // A full buffer loses the datagram; SIP over UDP repeats it.
            self.socket
                .send_to(&transmit.bytes, transmit.flow.remote)
                .ok();
        }
    }

    /// Registers these lines and waits until all are in.
    pub fn register_all(&mut self, lines: &[Line], patience: Duration) -> Result<()> {
        let deadline = self.clock.mono() + patience;
        let mut up = 0;
        for chunk in lines.chunks(20) {
            for line in chunk {
                self.register(line)?;
            }
            let wanted = up + chunk.len();
            while up < wanted {
                anyhow::ensure!(
                    self.clock.mono() < deadline,
                    "the phones could not register in time"
                );
                self.wait(deadline);
                while let Some(event) = self.sip.poll_event() {
                    match event {
                        Event::RegistrationUp { .. } => up += 1,
                        Event::RegistrationDown { code, reason, .. } => {
                            anyhow::bail!("a phone was not registered: {code} {reason}")
                        }
                        _ => {}
                    }
                }
            }
        }
        Ok(())
    }
}
