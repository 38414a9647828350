//! The thread that owns the node: reads its sockets and its letter box, steps the node, performs its effects. Performing
//! cannot fail half-way: what does not go through comes back as an input.

use crate::clock::Clock;
use crate::disk::Disk;
use crate::inbox::Letter;
use crate::media_worker::{MediaWorker, WorkerCommand, bind};
use crate::metrics::Metrics;
use crate::recorder::Recorder;
use crate::store_side::StoreSide;
use bytes::Bytes;
use crossbeam_channel::Receiver;
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use model::Wall;
use rtrb::RingBuffer;
use speech::Speech;
use std::collections::{HashMap, VecDeque};
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use switch::{ClaimRefused, Effect, Input, MediaCommand, Node, Notice};
use tracing::{debug, error, warn};

pub(crate) const WAKER: Token = Token(usize::MAX);
/// The longest SIP message over UDP.
const DATAGRAM: usize = 65_535;
/// Room for what comes while the node is busy, such as every phone registering after a power cut.
const BURST: usize = 4 << 20;
/// Datagrams taken from one socket before others get their turn.
const TURN: usize = 64;
/// 2 s of frames the listener may be behind.
const TAP: usize = 100;

pub(crate) struct Shell {
    pub clock: Clock,
    pub poll: Poll,
    pub sockets: Vec<(SocketAddr, UdpSocket)>,
    pub letters: Receiver<Letter>,
    pub workers: Vec<MediaWorker>,
    pub speech: Option<Arc<Speech>>,
    pub recorder: Recorder,
    pub store: Arc<StoreSide>,
    pub media_bind: IpAddr,
    /// Sockets bound beforehand, for a port range the system chose.
    pub bound: HashMap<u16, std::net::UdpSocket>,
    pub publish: Arc<dyn Fn(Notice) + Send + Sync>,
    pub metrics: Arc<Metrics>,
    pub disk: Arc<Disk>,
}

pub(crate) fn run(mut shell: Shell, mut node: Node) {
    let mut events = Events::with_capacity(64);
    let mut effects: Vec<Effect> = Vec::with_capacity(64);
    let mut datagram = vec![0u8; DATAGRAM];
    // Inputs made while performing effects.
    let mut failed: VecDeque<Input> = VecDeque::new();
    let mut readable = vec![true; shell.sockets.len()];
    loop {
        let busy = readable.iter().any(|more| *more) || !shell.letters.is_empty();
        let timeout = match node.next_deadline() {
            _ if busy => Some(Duration::ZERO),
            Some(deadline) => Some(shell.clock.until(deadline)),
            None => None,
        };
        if let Err(error) = shell.poll.poll(&mut events, timeout)
            && error.kind() != ErrorKind::Interrupted
        {
            error!(%error, "the node cannot wait for its sockets");
            return;
        }
        for event in &events {
            if event.token() != WAKER
                && let Some(more) = readable.get_mut(event.token().0)
            {
                *more = true;
            }
        }
        for (index, more) in readable.iter_mut().enumerate() {
            for _ in 0..TURN {
                if !*more {
                    break;
                }
                let (local, socket) = &shell.sockets[index];
                let (local, received) = (*local, socket.recv_from(&mut datagram));
                match received {
                    Ok((length, remote)) => {
                        shell.metrics.sip_in.count(&datagram[..length]);
                        let flow = sip::Flow::udp(local, remote);
                        let bytes = Bytes::copy_from_slice(&datagram[..length]);
                        step(
                            &mut shell,
                            &mut node,
                            Input::Datagram { flow, bytes },
                            &mut effects,
                            &mut failed,
                        );
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => *more = false,
                    // An earlier datagram of ours met a closed port; transactions time out by themselves.
                    Err(error) => debug!(%error, "sip receive"),
                }
            }
        }
        for _ in 0..TURN * 4 {
            match shell.letters.try_recv() {
                Ok(Letter::Input(input)) => {
                    step(&mut shell, &mut node, input, &mut effects, &mut failed);
                }
                Ok(Letter::Ask(question)) => question(&node),
                Ok(Letter::Stop) => return,
                Err(_) => break,
            }
        }
        let now = shell.clock.mono();
        if node.next_deadline().is_some_and(|deadline| deadline <= now) {
            step(
                &mut shell,
                &mut node,
                Input::Deadline,
                &mut effects,
                &mut failed,
            );
        }
    }
}

fn step(
    shell: &mut Shell,
    node: &mut Node,
    input: Input,
    effects: &mut Vec<Effect>,
    failed: &mut VecDeque<Input>,
) {
    if let Input::Media(media::Event::Closed { stats, .. }) = &input {
        shell.metrics.leg(stats);
    }
    failed.push_back(input);
    while let Some(input) = failed.pop_front() {
        node.step(shell.clock.now(), input, effects);
        for effect in effects.drain(..) {
            if let Some(input) = shell.perform(effect) {
                failed.push_back(input);
            }
        }
    }
}

impl Shell {
    /// Does what the node wants; what failed comes back as an input.
    fn perform(&mut self, effect: Effect) -> Option<Input> {
        match effect {
            Effect::Send(transmit) => return self.send(&transmit),
            Effect::Media { worker, command } => return self.media(worker, command),
            Effect::Recognise {
                leg,
                request,
                from_ms,
                to_ms,
                is_final,
                language,
            } => match &self.speech {
                Some(speech) => {
                    let (from, to) = (clamp(from_ms), clamp(to_ms));
                    speech.recognise(leg, request, from, to, is_final, language);
                }
                None => {
                    let error = bots::RecogniserError::NoModel;
                    let result = Err(bots::NotHeard::Failed(error));
                    let heard = switch::Heard::Recognised { request, result };
                    return Some(Input::Heard { leg, heard });
                }
            },
            Effect::Promote { leg, request } => {
                if let Some(speech) = &self.speech {
                    speech.promote(leg, request);
                }
            }
            Effect::Abandon { leg, request } => {
                if let Some(speech) = &self.speech {
                    speech.abandon(leg, request);
                }
            }
            Effect::Claim {
                tenant,
                campaign,
                at_most,
            } => {
                if self.disk.low() {
                    // No lead is taken that could not be recorded; the campaign asks again.
                    return Some(Input::Claimed {
                        campaign,
                        result: Err(ClaimRefused::DiskFull),
                    });
                }
                self.store.claim(tenant, campaign, at_most);
            }
            Effect::Persist(change) => {
                self.metrics.persist(&change);
                self.store.push(change);
            }
            Effect::Notify(notice) => (self.publish)(notice),
        }
        None
    }

    fn send(&self, transmit: &sip::Transmit) -> Option<Input> {
        let flow = transmit.flow;
        let of_flow = |(local, _): &&(SocketAddr, UdpSocket)| *local == flow.local;
        let (_, socket) = self.sockets.iter().find(of_flow).or(self.sockets.first())?;
        self.metrics.sip_out.count(&transmit.bytes);
        match socket.send_to(&transmit.bytes, flow.remote) {
            Ok(_) => None,
            // A full buffer loses the datagram; SIP over UDP repeats it.
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => {
                debug!(%error, remote = %flow.remote, "sip send");
                Some(Input::TransportFailed(flow))
            }
        }
    }

    fn media(&mut self, worker: u16, command: MediaCommand) -> Option<Input> {
        let worker = self.workers.get(usize::from(worker))?;
        match command {
            MediaCommand::Open {
                leg,
                port,
                ssrc,
                sequence,
                timestamp,
            } => {
                let socket = match self.bound.remove(&port) {
                    Some(socket) => Ok(socket),
                    None => bind(self.media_bind, port),
                };
                let socket = match socket {
                    Ok(socket) => socket,
                    Err(error) => {
                        warn!(%error, port, "cannot open an RTP socket");
                        return Some(Input::MediaFailed { leg });
                    }
                };
                let start = media::Command::Open {
                    leg,
                    ssrc,
                    sequence,
                    timestamp,
                };
                worker.push(WorkerCommand::Open { leg, socket, start });
            }
            MediaCommand::Listen { leg } => {
                if let Some(speech) = &self.speech {
                    let (ring, frames) = RingBuffer::new(TAP);
                    match speech.listen(leg, frames) {
                        Ok(()) => worker.push(WorkerCommand::Listen { leg, ring }),
                        Err(busy) => warn!(%busy, "a robot call is not listened to"),
                    }
                }
            }
            MediaCommand::Record {
                tenant,
                call,
                leg,
                file,
            } => {
                let ring = self.recorder.record(tenant, call, file);
                worker.push(WorkerCommand::Record { leg, ring });
            }
            MediaCommand::Plain(command) => {
                if let (media::Command::Close { leg }, Some(speech)) = (&command, &self.speech) {
                    speech.forget(*leg);
                }
                worker.push(WorkerCommand::Plain(command));
            }
        }
        None
    }
}

fn clamp(ms: u64) -> u32 {
    u32::try_from(ms).unwrap_or(u32::MAX)
}

/// Sockets for SIP, registered for reading.
pub(crate) fn listen(
    poll: &Poll,
    addresses: &[SocketAddr],
) -> std::io::Result<Vec<(SocketAddr, UdpSocket)>> {
    let mut sockets = Vec::with_capacity(addresses.len());
    for (index, address) in addresses.iter().enumerate() {
        let mut socket = UdpSocket::bind(*address)?;
        // As much of it as net.core.rmem_max allows.
        rustix::net::sockopt::set_socket_recv_buffer_size(&socket, BURST).ok();
        let local = socket.local_addr()?;
        poll.registry()
            .register(&mut socket, Token(index), Interest::READABLE)?;
        sockets.push((local, socket));
    }
    Ok(sockets)
}

/// For notices made outside the node.
pub(crate) fn notice(
    tenant: model::TenantId,
    kind: &'static str,
    at: Wall,
    data: serde_json::Value,
) -> Notice {
    Notice {
        tenant,
        kind,
        occurred_at: at,
        data,
    }
}
