//! Settings of one installation: flags over `HUYING_*` over `huying.toml` over defaults. Extensions, users and trunks are
//! not settings: they live in the database.

use anyhow::{Context, Result, bail, ensure};
use figment::providers::{Env, Format, Serialized, Toml};
use figment::{Figment, Metadata};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use tracing_subscriber::EnvFilter;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Database, recordings, prompts and models live below it.
    pub data: PathBuf,
    /// `sqlite:PATH` or `postgres://user:password@host/database`; empty is `huying.db` in the data folder.
    pub database: String,
    /// SIP over UDP.
    pub sip: SocketAddr,
    /// The address devices are told, for SIP and RTP; empty is found from the routes.
    pub advertised: String,
    /// The digest realm. Stored passwords depend on it: never change it after the first extension.
    pub realm: String,
    /// `FROM-TO`; the even ones are used. `0` lets the system choose a few.
    pub rtp_ports: String,
    /// REST API and its documentation.
    pub http: SocketAddr,
    /// How people reach the API; empty is made from `http`.
    pub public_url: String,
    /// Proxies before the API whose X-Forwarded-For is believed: addresses and networks with commas.
    pub trusted_proxies: String,
    /// Where `/metrics` is served: this machine alone, unless another address is named; `off` is nowhere.
    pub metrics: String,
    /// A model's name (`huying models list`) or the path of a ggml file.
    pub model: String,
    /// Recogniser threads; 0 is one for each core.
    pub speech_workers: usize,
    /// Media threads; 0 is one for each core.
    pub media_workers: u16,
    /// Seconds a stopping process lets live calls go on before it hangs them up; 0 is as long as they last.
    pub drain_timeout: u64,
    /// MB that are left free on the disk: with less, robots begin no calls and recordings pause until there is room again.
    pub disk_reserve: u64,
    /// `error`, `warn`, `info`, `debug`, or a filter such as `info,sip=debug`.
    pub log: String,
}

/// What `HUYING_*` may set; other variables of that prefix are not ours to refuse.
const KEYS: &[&str] = &[
    "data",
    "database",
    "sip",
    "advertised",
    "realm",
    "rtp_ports",
    "http",
    "public_url",
    "trusted_proxies",
    "metrics",
    "model",
    "speech_workers",
    "media_workers",
    "drain_timeout",
    "disk_reserve",
    "log",
];

impl Default for Config {
    fn default() -> Config {
        Config {
            data: "data".into(),
            database: String::new(),
            sip: SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 5060),
            advertised: String::new(),
            realm: "huying".into(),
            rtp_ports: "20000-29999".into(),
            http: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 8080),
            public_url: String::new(),
            trusted_proxies: String::new(),
            metrics: "127.0.0.1:9464".into(),
            model: speech::models::DEFAULT.into(),
            speech_workers: 0,
            media_workers: 0,
            drain_timeout: 300,
            disk_reserve: 256,
            log: "warn".into(),
        }
    }
}

/// One setting as `huying config show` prints it.
pub struct Shown {
    pub key: String,
    pub value: String,
    pub source: String,
}

/// Where the settings come from, lowest first. `flags` holds only what was given.
pub fn layers(file: Option<&PathBuf>, flags: &impl Serialize) -> Figment {
    let file = file.cloned().unwrap_or_else(|| "huying.toml".into());
    Figment::from(Serialized::defaults(Config::default()))
        .merge(Toml::file(file))
        .merge(Env::prefixed("HUYING_").filter(|key| KEYS.iter().any(|known| key == *known)))
        .merge(Serialized::defaults(flags))
}

pub fn load(figment: &Figment) -> Result<Config> {
    let config = read(figment)?;
    config.check()?;
    Ok(config)
}

fn read(figment: &Figment) -> Result<Config> {
    figment.extract().context(
        "a setting cannot be read. FIX: correct the one named here, in the place named here",
    )
}

/// Every setting as it stands, right or wrong; `Config::check` tells which.
pub fn show(figment: &Figment) -> Result<Vec<Shown>> {
    let config = read(figment)?;
    let value = serde_json::to_value(&config)?;
    let fields = value.as_object().context("settings are a table")?;
    Ok(fields
        .iter()
        .map(|(key, value)| Shown {
            key: key.clone(),
            value: match value.as_str() {
                Some(address) if key == "database" => store::db::shown(address),
                Some(text) => text.to_owned(),
                None => value.to_string(),
            },
            source: figment
                .find_metadata(key)
                .map_or_else(|| "default".into(), source),
        })
        .collect())
}

fn source(metadata: &Metadata) -> String {
    match &metadata.source {
        Some(figment::Source::File(path)) => path.display().to_string(),
        _ if metadata.name.contains("environment") => "environment".into(),
        _ if metadata.name.contains("Flags") => "flag".into(),
        _ => "default".into(),
    }
}

impl Config {
    /// What can be told of the settings without touching the machine.
    pub fn check(&self) -> Result<()> {
        self.advertised_ip()?;
        self.rtp_ports()?;
        self.trusted_proxies()?;
        self.metrics()?;
        self.log_filter()?;
        let url = self.public_url.parse::<reqwest::Url>().ok();
        let page = |url: &reqwest::Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        ensure!(
            self.public_url.is_empty() || url.as_ref().is_some_and(page),
            "public_url: `{}` is no address of a web page. FIX: such as https://calls.example.com, or leave it out",
            self.public_url
        );
        Ok(())
    }

    /// What is logged. What whisper and the sound decoders have to say is of interest only when it is asked for.
    pub fn log_filter(&self) -> Result<EnvFilter> {
        const QUIET: &str = "whisper_rs=warn,symphonia=off,symphonia_core=off";
        EnvFilter::try_new(format!("{QUIET},{}", self.log)).with_context(|| {
            format!(
                "log: `{}` is no filter. FIX: error, warn, info, debug, or such as info,sip=debug",
                self.log
            )
        })
    }

    pub fn trusted_proxies(&self) -> Result<admin::Proxies> {
        self.trusted_proxies.parse().context(
            "trusted_proxies: FIX: write addresses or networks with commas, such as 127.0.0.1,10.0.0.0/8; empty trusts nobody",
        )
    }

    pub fn database_address(&self) -> String {
        if self.database.is_empty() {
            format!("sqlite:{}", self.data.join("huying.db").display())
        } else {
            self.database.clone()
        }
    }

    pub fn recordings(&self) -> PathBuf {
        self.data.join("recordings")
    }
    pub fn prompts(&self) -> PathBuf {
        self.data.join("prompts")
    }
    pub fn journal(&self) -> PathBuf {
        self.data.join("journal")
    }
    pub fn models(&self) -> PathBuf {
        self.data.join("models")
    }

    /// The speech model's file, there or not.
    pub fn model_path(&self) -> PathBuf {
        match speech::models::find(&self.model) {
            Some(model) => model.path(&self.models()),
            None => PathBuf::from(&self.model),
        }
    }

    /// The address devices are told: as configured, else the listening one, else the one routes prefer.
    pub fn advertised_ip(&self) -> Result<IpAddr> {
        if !self.advertised.is_empty() {
            return self
                .advertised
                .parse()
                .with_context(|| {
                    format!(
                        "advertised: `{}` is no IP address. FIX: the address devices reach this machine by, such as 192.0.2.10; empty finds it",
                        self.advertised
                    )
                });
        }
        if !self.sip.ip().is_unspecified() {
            return Ok(self.sip.ip());
        }
        Ok(route_address().unwrap_or(Ipv4Addr::LOCALHOST.into()))
    }

    /// Where metrics are served, if anywhere.
    pub fn metrics(&self) -> Result<Option<SocketAddr>> {
        if matches!(self.metrics.as_str(), "" | "off") {
            return Ok(None);
        }
        let address = self.metrics.parse();
        Ok(Some(address.with_context(|| {
            format!(
                "metrics: `{}` is no address. FIX: ADDR:PORT such as 127.0.0.1:9464, or off",
                self.metrics
            )
        })?))
    }

    pub fn rtp_ports(&self) -> Result<engine::RtpPorts> {
        if self.rtp_ports == "0" {
            return Ok(engine::RtpPorts::System(256));
        }
        let parts = self.rtp_ports.split_once('-');
        let ports =
            parts.and_then(|(from, to)| Some((from.trim().parse().ok()?, to.trim().parse().ok()?)));
        match ports {
            Some((from, to)) if from >= 1024 && from < to => Ok(engine::RtpPorts::Range(from, to)),
            _ => bail!(
                "rtp_ports: `{}` is no range. FIX: FROM-TO above 1023, such as 20000-29999, or 0",
                self.rtp_ports
            ),
        }
    }

    pub fn public_url(&self) -> String {
        if self.public_url.is_empty() {
            format!("http://{}", self.http)
        } else {
            self.public_url.trim_end_matches('/').to_owned()
        }
    }
}

/// The address packets to the outside would leave from. Nothing is sent: connecting a UDP socket only asks the routes.
pub fn route_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // RFC 5737 TEST-NET-1: routed like any address outside, owned by nobody.
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    socket
        .local_addr()
        .ok()
        .map(|local| local.ip())
        .filter(|ip| !ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_can_be_given_by_the_environment() {
        let value = serde_json::to_value(Config::default()).unwrap();
        let mut fields: Vec<&str> = value
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let mut keys = KEYS.to_vec();
        fields.sort_unstable();
        keys.sort_unstable();
        assert_eq!(fields, keys);
    }

    #[test]
    #[allow(clippy::result_large_err)] // The jail's closure returns figment's own error.
    fn the_environment_wins_over_the_file_and_strangers_in_it_are_left_alone() {
        figment::Jail::expect_with(|jail| {
            jail.create_file("huying.toml", "http = \"127.0.0.1:1\"\nlog = \"debug\"")?;
            jail.set_env("HUYING_HTTP", "127.0.0.1:2");
            jail.set_env("HUYING_SOMETHING_ELSE", "x");
            let config = load(&layers(None, &crate::cli::Flags::default())).unwrap();
            assert_eq!((config.http.port(), config.log.as_str()), (2, "debug"));
            Ok(())
        });
    }

    #[test]
    fn flags_win_and_every_value_names_its_source() {
        let flags = crate::cli::Flags {
            log: Some("debug".into()),
            ..Default::default()
        };
        let shown = show(&layers(Some(&"/nonexistent.toml".into()), &flags)).unwrap();
        let log = shown.iter().find(|shown| shown.key == "log").unwrap();
        assert_eq!((log.value.as_str(), log.source.as_str()), ("debug", "flag"));
        let realm = shown.iter().find(|shown| shown.key == "realm").unwrap();
        assert_eq!(
            (realm.value.as_str(), realm.source.as_str()),
            ("huying", "default")
        );
    }

    #[test]
    fn a_setting_that_makes_no_sense_is_shown_and_refused_with_its_fix() {
        for flags in [
            crate::cli::Flags {
                advertised: Some("foo".into()),
                ..Default::default()
            },
            crate::cli::Flags {
                log: Some("sip=loud".into()),
                ..Default::default()
            },
        ] {
            let figment = layers(Some(&"/nonexistent.toml".into()), &flags);
            assert!(show(&figment).is_ok());
            let error = load(&figment).unwrap_err().to_string();
            assert!(error.contains("FIX"), "{error}");
        }
    }

    #[test]
    fn a_databases_password_is_not_shown() {
        let flags = crate::cli::Flags {
            database: Some("postgres://huying:s3cret@db/huying".into()),
            ..Default::default()
        };
        let shown = show(&layers(Some(&"/nonexistent.toml".into()), &flags)).unwrap();
        let database = shown.iter().find(|shown| shown.key == "database").unwrap();
        assert_eq!(database.value, "postgres://huying@db/huying");
    }

    #[test]
    fn metrics_have_an_address_or_are_off() {
        let metrics = |text: &str| {
            let metrics = text.into();
            let config = Config {
                metrics,
                ..Config::default()
            };
            config.metrics()
        };
        assert!(metrics("off").unwrap().is_none());
        assert_eq!(metrics("127.0.0.1:9464").unwrap().unwrap().port(), 9464);
        assert!(metrics("9464").unwrap_err().to_string().contains("FIX"));
        let shipped = Config::default().metrics().unwrap().unwrap();
        assert!(
            shipped.ip().is_loopback(),
            "nobody else reads them unless asked for"
        );
    }

    #[test]
    fn a_port_range_that_is_none_says_what_to_write() {
        let mut config = Config {
            rtp_ports: "30000-20000".into(),
            ..Config::default()
        };
        assert!(config.rtp_ports().unwrap_err().to_string().contains("FIX"));
        config.rtp_ports = "0".into();
        assert!(config.rtp_ports().is_ok());
    }

    #[test]
    fn links_that_lead_nowhere_are_refused() {
        for (url, right) in [
            ("", true),
            ("https://calls.example.com/", true),
            ("notaurl", false),
            ("ftp://calls.example.com", false),
        ] {
            let config = Config {
                public_url: url.into(),
                ..Config::default()
            };
            assert_eq!(config.check().is_ok(), right, "{url}");
        }
    }
}
