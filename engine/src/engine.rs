//! Wires the threads together and starts and stops them.

use crate::clock::{Clock, wall};
use crate::disk::Disk;
use crate::handle::{Handle, LiveCallView, Question, Readiness, RegistrationView};
use crate::inbox::Inbox;
use crate::media_worker::MediaWorker;
use crate::metrics::WorkerMetrics;
use crate::node_thread::{self, Shell, WAKER};
use crate::recorder::{Recorded, Recorder};
use crate::store_side::StoreSide;
use mio::{Poll, Waker};
use speech::{Source, Speech, SpeechEvent};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use store::recovery::Recovered;
use store::{Journal, Platform, Store};
use switch::{Heard, Input, Node};
use tokio::sync::mpsc;
use tracing::{error, info};

/// Events a slow reader may be behind before it loses some.
const EVENTS: usize = 4096;

#[derive(Clone, Debug)]
pub struct Config {
    /// Port 0 lets the system choose.
    pub sip_listen: SocketAddr,
    /// What devices are told; the port is the listening one when 0.
    pub advertised: SocketAddr,
    /// Fixed at installation: stored passwords depend on it.
    pub realm: String,
    pub rtp_bind: IpAddr,
    /// What stands in our SDP.
    pub rtp_advertised: IpAddr,
    pub rtp_ports: RtpPorts,
    pub media_workers: u16,
    /// Where everything is written; its disk is watched.
    pub data: PathBuf,
    /// Bytes left free on it: with less, robots begin no calls and recordings pause.
    pub disk_reserve: u64,
    pub recordings: PathBuf,
    pub prompts: PathBuf,
    /// The call journal's folder.
    pub journal: PathBuf,
    /// Where all chance of calls comes from.
    pub seed: [u8; 32],
}

#[derive(Clone, Copy, Debug)]
pub enum RtpPorts {
    /// The even ports of a range.
    Range(u16, u16),
    /// As many as named, chosen by the system.
    System(u16),
}

/// What robots hear with.
pub enum Hearing {
    Recogniser {
        source: Arc<dyn Source>,
        config: speech::Config,
        name: String,
    },
    /// Robots cannot hear; for people, why and what to do about it.
    None { why: String },
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "cannot listen for SIP on {address}: {error}. FIX: free the address or choose another with --sip"
    )]
    Sip {
        address: SocketAddr,
        error: std::io::Error,
    },
    #[error(
        "no RTP port can be opened on {address}: {error}. FIX: choose other ports with --rtp-ports"
    )]
    Rtp {
        address: IpAddr,
        error: std::io::Error,
    },
    #[error("cannot start a thread or poll sockets: {0}")]
    System(#[from] std::io::Error),
    #[error("cannot start listening to callees: {0}")]
    Speech(#[from] speech::StartError),
    #[error("cannot read the configuration: {0}")]
    Store(#[from] store::StoreError),
    #[error(transparent)]
    Journal(#[from] store::JournalError),
}

/// The running engine. Dropping it stops its node without drain.
pub struct Engine {
    pub handle: Handle,
    /// Where SIP is really listened for.
    pub sip_address: SocketAddr,
    inbox: Inbox,
    node: Option<JoinHandle<()>>,
    store: Arc<StoreSide>,
    calls: Arc<dyn Fn() -> usize + Send + Sync>,
}

impl Engine {
    /// Closes what the last run left open, starts everything, loads every tenant and resumes running campaigns. Must be called
    /// inside a tokio runtime.
    pub async fn start(
        config: Config,
        store: Store,
        platform: Platform,
        hearing: Hearing,
    ) -> Result<Engine, StartError> {
        let clock = Clock::start();
        let journal = recover(&config, &store, &platform).await?;
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let (inbox, letters) = Inbox::new(waker);
        let sockets =
            node_thread::listen(&poll, &[config.sip_listen]).map_err(|error| StartError::Sip {
                address: config.sip_listen,
                error,
            })?;
        let sip_address = sockets
            .first()
            .map_or(config.sip_listen, |(local, _)| *local);
        let (bound, rtp_ports) =
            rtp_ports(config.rtp_bind, config.rtp_ports).map_err(|error| StartError::Rtp {
                address: config.rtp_bind,
                error,
            })?;

        let (handle, questions, _) = Handle::new(EVENTS);
        let metrics = handle.metrics().clone();
        let disk = Arc::new(Disk::of(config.data.clone(), config.disk_reserve));
        disk.watch();
        metrics.disk.set(disk.clone()).ok();
        let publish = publisher(handle.clone());

        let (speech, speech_name) = match hearing {
            Hearing::Recogniser {
                source,
                config,
                name,
            } => {
                let (sink, counts) = (inbox.clone(), metrics.clone());
                let sink = Arc::new(move |event| {
                    counts.heard(&event);
                    heard(&sink, event);
                });
                let speech = Arc::new(Speech::start(source, config, sink)?);
                // Weak: speech ends with the node thread, whoever still looks at the counts.
                metrics.speech.set(Arc::downgrade(&speech)).ok();
                (Some(speech), name)
            }
            Hearing::None { why } => (None, why),
        };
        let can_hear = speech.is_some();
        // Its tables are built at first use otherwise, in the middle of the first call.
        bots::lexicon::warm();

        let (announce, page, counts) = (publish.clone(), inbox.clone(), metrics.clone());
        let tell = Arc::new(move |recorded: Recorded| {
            let (kind, call, data) = (recorded.kind(), recorded.call, recorded.data());
            counts.recordings.add(kind.trim_start_matches("recording."));
            if kind != "recording.ready" {
                // For the call's page; without room in the box it is in the event stream and the log.
                let data = data.clone();
                page.offer(Input::Note { call, kind, data }).ok();
            }
            let at = wall();
            announce(node_thread::notice(recorded.tenant, kind, at, data));
        });
        let recorder = Recorder::start(config.recordings.clone(), clock, disk.clone(), tell)?;
        let counts: Vec<_> = (0..config.media_workers.max(1))
            .map(|_| Arc::new(WorkerMetrics::default()))
            .collect();
        let workers = (0..)
            .zip(&counts)
            .map(|(index, counts)| MediaWorker::start(index, clock, inbox.clone(), counts.clone()))
            .collect::<Result<Vec<_>, _>>()?;
        metrics.workers.set(counts).ok();

        let store_side = Arc::new(StoreSide::start(
            store,
            platform,
            config.prompts.clone(),
            inbox.clone(),
            journal,
        ));

        let mut advertised = config.advertised;
        if advertised.port() == 0 {
            advertised.set_port(sip_address.port());
        }
        let node = Node::new(
            switch::Config {
                sip: sip::Config::new(&config.realm, advertised),
                media_address: config.rtp_advertised,
                rtp_ports,
                workers: config.media_workers.max(1),
            },
            config.seed,
        );
        let shell = Shell {
            clock,
            poll,
            sockets,
            letters,
            workers,
            speech,
            recorder,
            store: store_side.clone(),
            media_bind: config.rtp_bind,
            bound,
            publish,
            metrics,
            disk: disk.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("node".into())
            .spawn(move || node_thread::run(shell, node))?;

        let asked = Asked {
            inbox: inbox.clone(),
            store: store_side.clone(),
            speech_name,
            can_hear,
            disk,
        };
        tokio::spawn(asked.answer(questions));
        store_side.load_all().await?;
        info!(sip = %sip_address, "engine started");

        let count = inbox.clone();
        let calls = Arc::new(move || {
            let (reply, answer) = std::sync::mpsc::channel();
            count.ask(move |node| {
                reply.send(node.calls()).ok();
            });
            answer.recv_timeout(Duration::from_secs(2)).unwrap_or(0)
        });
        Ok(Engine {
            handle,
            sip_address,
            inbox,
            node: Some(thread),
            store: store_side,
            calls,
        })
    }

    /// No new calls from here on; live ones go on.
    pub fn drain(&self) {
        self.inbox.deliver(Input::Drain);
    }

    /// Calls not yet finished.
    pub fn calls(&self) -> usize {
        (self.calls)()
    }

    /// Ends every call with a record.
    pub fn hang_up_all(&self) {
        self.inbox.deliver(Input::HangUpAll);
    }

    /// Stops the node and waits until everything is written.
    pub async fn stop(mut self) {
        self.inbox.stop();
        if let Some(thread) = self.node.take()
            && tokio::task::spawn_blocking(move || thread.join())
                .await
                .is_err()
        {
            error!("the node thread ended badly");
        }
        self.store.finish().await;
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.inbox.stop();
    }
}

/// The journal, after what it and the database had of the last run is closed.
async fn recover(
    config: &Config,
    store: &Store,
    platform: &Platform,
) -> Result<Journal, StartError> {
    let installation = store.installation(platform, wall()).await?;
    let (journal, left) = Journal::open(&config.journal, installation, Default::default(), wall)?;
    let recovered = store
        .recover(platform, &journal, &left, &config.recordings, wall())
        .await?;
    if recovered != Recovered::default() {
        info!(?recovered, "calls of the last run were closed");
    }
    Ok(journal)
}

fn publisher(handle: Handle) -> Arc<dyn Fn(switch::Notice) + Send + Sync> {
    Arc::new(move |notice| {
        crate::told::log(&notice);
        let switch::Notice {
            tenant,
            kind,
            occurred_at,
            data,
        } = notice;
        handle.publish(tenant, kind, occurred_at, data);
    })
}

fn heard(inbox: &Inbox, event: SpeechEvent) {
    let (leg, heard) = match event {
        SpeechEvent::VoiceStarted { leg, at_ms } => (
            leg,
            Heard::VoiceStarted {
                at_ms: u64::from(at_ms),
            },
        ),
        SpeechEvent::VoicePaused {
            leg,
            last_voiced_ms,
            silence,
        } => {
            let last_voiced_ms = u64::from(last_voiced_ms);
            (
                leg,
                Heard::VoicePaused {
                    last_voiced_ms,
                    silence,
                },
            )
        }
        SpeechEvent::Recognised {
            leg,
            request,
            result,
            ..
        } => (leg, Heard::Recognised { request, result }),
    };
    if inbox.offer(Input::Heard { leg, heard }).is_err() {
        // The conversation's own deadlines carry on without it.
        error!("the node does not keep up: something heard was lost");
    }
}

/// The even ports of a range that nobody else has, or ports the system chose, their sockets held so that nobody gets them.
fn rtp_ports(
    bind: IpAddr,
    ports: RtpPorts,
) -> std::io::Result<(HashMap<u16, UdpSocket>, Vec<u16>)> {
    match ports {
        RtpPorts::Range(from, to) => {
            let mut taken = Vec::new();
            let mut refused = None;
            let mut open = |port: &u16| match crate::media_worker::bind(bind, *port) {
                Ok(_) => true,
                Err(error) => {
                    taken.push(*port);
                    refused = Some(error);
                    false
                }
            };
            let even = (from..=to).filter(|port| port % 2 == 0);
            let free: Vec<u16> = even.filter(&mut open).collect();
            if let Some(error) = refused {
                if free.is_empty() {
                    return Err(error);
                }
                // A call would be lost on each of them.
                tracing::warn!(?taken, %error, "RTP ports are left out");
            }
            Ok((HashMap::new(), free))
        }
        RtpPorts::System(count) => {
            let mut bound = HashMap::new();
            for _ in 0..count {
                let socket = crate::media_worker::bind(bind, 0)?;
                bound.insert(socket.local_addr()?.port(), socket);
            }
            let mut ports: Vec<u16> = bound.keys().copied().collect();
            ports.sort_unstable();
            Ok((bound, ports))
        }
    }
}

/// Answers the handle's questions.
struct Asked {
    inbox: Inbox,
    store: Arc<StoreSide>,
    speech_name: String,
    can_hear: bool,
    disk: Arc<Disk>,
}

impl Asked {
    async fn answer(self, mut questions: mpsc::Receiver<Question>) {
        while let Some(question) = questions.recv().await {
            match question {
                Question::Registrations { tenant, reply } => self.inbox.ask(move |node| {
                    let views = node.registrations(tenant).into_iter().map(view).collect();
                    reply.send(views).ok();
                }),
                Question::LiveCalls { tenant, reply } => self.inbox.ask(move |node| {
                    let views = node.live_calls(tenant).into_iter().map(live).collect();
                    reply.send(views).ok();
                }),
                Question::HangUp {
                    tenant,
                    call,
                    actor,
                    reply,
                } => {
                    let inbox = self.inbox.clone();
                    self.inbox.ask(move |node| {
                        let known = node.live_calls(tenant).iter().any(|live| live.id == call);
                        if known
                            && inbox
                                .offer(Input::HangUp {
                                    tenant,
                                    call,
                                    actor,
                                })
                                .is_err()
                        {
                            reply.send(false).ok();
                            return;
                        }
                        reply.send(known).ok();
                    });
                }
                Question::Standing {
                    tenant,
                    campaign,
                    reply,
                } => self.inbox.ask(move |node| {
                    reply.send(node.standing(tenant, campaign)).ok();
                }),
                Question::Changed { tenant } => self.store.reload(tenant).await,
                Question::CampaignChanged { tenant, campaign } => {
                    self.store.reload_campaign(tenant, campaign).await;
                }
                Question::Ready { reply } => {
                    let speech = self.speech_name.clone();
                    let can_hear = self.can_hear;
                    let disk = self.disk.trouble();
                    let journal = self.store.journal_trouble();
                    self.inbox.ask(move |node| {
                        let draining = node.is_draining();
                        let speech = if can_hear {
                            speech
                        } else {
                            format!("robots cannot hear: {speech}")
                        };
                        let calls = node.calls();
                        reply
                            .send(Readiness {
                                ready: !draining && disk.is_none() && journal.is_none(),
                                draining,
                                speech,
                                can_hear,
                                calls,
                                disk,
                                journal,
                            })
                            .ok();
                    });
                }
                Question::Figures { reply } => {
                    let journal = self.store.journal_trouble().is_none();
                    self.inbox.ask(move |node| {
                        reply.send((node.figures(), journal)).ok();
                    });
                }
            }
        }
    }
}

fn view(binding: sip::Binding) -> RegistrationView {
    RegistrationView {
        aor: binding.aor,
        contact: binding.contact.as_str().to_owned(),
        source: binding.flow.remote.to_string(),
        user_agent: binding.user_agent,
        expires_at: binding.expires_at,
    }
}

fn live(call: switch::LiveCall) -> LiveCallView {
    LiveCallView {
        id: call.id,
        direction: call.direction,
        caller: call.caller,
        callee: call.callee,
        campaign: call.campaign,
        lead: call.lead,
        started_at: call.started_at,
        answered_at: call.answered_at,
    }
}
