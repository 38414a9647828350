//! The command line.

use crate::config;
use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use serde::Serialize;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Huying (呼应): a telephony-first call centre engine.
///
/// Without a command it serves. `huying demo` shows what it does without a gateway or a microphone.
#[derive(Parser, Debug)]
#[command(name = "huying", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Settings file (default: huying.toml, when there is one).
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub flags: Flags,
}

/// Settings that may be given on the command line; each is also `HUYING_<NAME>` and a key of the settings file.
#[derive(Args, Clone, Debug, Default, Serialize)]
pub struct Flags {
    /// Folder for the database, recordings, prompts and models.
    #[arg(long, global = true, value_name = "FOLDER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// Database: sqlite:PATH, or postgres://user:password@host/database (in HUYING_DATABASE nobody sees the password).
    #[arg(long, global = true, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Where SIP over UDP is listened for.
    #[arg(long, global = true, value_name = "ADDR:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sip: Option<SocketAddr>,
    /// The IP address devices are told.
    #[arg(long, global = true, value_name = "IP")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advertised: Option<String>,
    /// The SIP realm, a part of every stored device password: never change it after the first extension.
    #[arg(long, global = true, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realm: Option<String>,
    /// RTP ports, FROM-TO; 0 lets the system choose.
    #[arg(long, global = true, value_name = "FROM-TO")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtp_ports: Option<String>,
    /// Where the API is served.
    #[arg(long, global = true, value_name = "ADDR:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<SocketAddr>,
    /// How people reach the API from outside, such as https://calls.example.com.
    #[arg(long, global = true, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// Where metrics are served for Prometheus; `off` for nowhere.
    #[arg(long, global = true, value_name = "ADDR:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<String>,
    /// Speech model: a name of `huying models list`, or a file.
    #[arg(long, global = true, value_name = "NAME|FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What is logged: error, warn, info, debug, or a filter.
    #[arg(long, global = true, value_name = "LEVEL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run the call centre: SIP, robots, API.
    Serve,
    /// Show the whole job on this machine: a simulated gateway, callees, real speech recognition, grades A–F.
    Demo {
        /// Write the result as JSON.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Robot calls at once.
        #[arg(long, default_value_t = 4)]
        lines: u16,
    },
    /// Play whole campaigns in virtual time, with everything that can go wrong, and check what must hold after every step.
    Simulate(crate::simulate::Simulate),
    /// Check this machine and installation; every failure comes with its FIX.
    Doctor {
        /// Also place a call over loopback and measure its audio both ways.
        #[arg(long)]
        call: bool,
    },
    /// Copy everything that is kept, also while the product runs: database, prompts, settings.
    Backup {
        /// A file that ends in .zip, or a folder; must not be there yet.
        #[arg(value_name = "FILE|FOLDER")]
        to: PathBuf,
        /// Recordings too.
        #[arg(long)]
        recordings: bool,
    },
    /// Put a backup into an empty data folder (--data), verified first.
    Restore {
        #[arg(value_name = "FILE|FOLDER")]
        from: PathBuf,
        /// Only verify it: every hash, the schema, the database and its books.
        #[arg(long)]
        check: bool,
    },
    /// Speech models.
    #[command(subcommand)]
    Models(Models),
    /// Administrators.
    #[command(subcommand)]
    Admin(Admin),
    /// Settings.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// What is known of calls that are not yet in the database.
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Measure.
    #[command(subcommand)]
    Bench(Bench),
}

#[derive(Subcommand, Debug)]
pub enum Models {
    /// Which models there are, and which are here.
    List,
    /// Get a model: from upstream, a mirror or packages, whichever can be reached; hash-checked.
    Pull {
        #[arg(default_value = speech::models::DEFAULT)]
        name: String,
        /// Take it from a file instead.
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
    },
    /// Read the models that are here and check their hashes; with `--model FILE`, that one too.
    Check,
}

#[derive(Subcommand, Debug)]
pub enum Admin {
    /// Print a one-time link (30 minutes) that creates an administrator.
    Create,
}

#[derive(Subcommand, Debug)]
pub enum ConfigCommand {
    /// Each setting, its value and where it comes from.
    Show,
}

#[derive(Subcommand, Debug)]
pub enum JournalCommand {
    /// Its lines: time, call, what. Works beside a running server.
    Show {
        /// Whole numbers and what was said.
        #[arg(long)]
        full: bool,
    },
}

#[derive(Args, Clone, Debug)]
pub struct BenchOutput {
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
    /// Also run the peer that is compared with, where it is installed.
    #[arg(long)]
    pub peers: bool,
}

#[derive(Subcommand, Debug)]
pub enum Bench {
    /// CPU of a registration and of an answered call.
    Sip {
        /// How many of each.
        #[arg(long, default_value_t = 2000)]
        count: u32,
        #[command(flatten)]
        output: BenchOutput,
    },
    /// CPU of relayed and of robot calls.
    Media {
        /// Calls at once.
        #[arg(long, default_value_t = 100)]
        calls: u16,
        /// Seconds measured for each case.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        #[command(flatten)]
        output: BenchOutput,
    },
    /// What calls wait for the database beside a large import, on SQLite and PostgreSQL (--database postgres://…, an empty one,
    /// or a server of its own from Debian's package); a start with many leads.
    Db {
        /// Leads imported.
        #[arg(long, default_value_t = 1_000_000)]
        leads: u32,
        /// Calls begun and finished as fast as they are written.
        #[arg(long, default_value_t = 3_000)]
        calls: u32,
        /// Calls begun a second after those, until the import is done.
        #[arg(long, default_value_t = 50)]
        pace: u32,
        #[command(flatten)]
        output: BenchOutput,
    },
    /// Recognition and understanding of a folder of phrases (phrases.tsv and WAV files).
    Speech {
        #[arg(value_name = "DIR")]
        dir: PathBuf,
        /// Understand with this template instead of the built-in lexicon.
        #[arg(long, value_name = "FILE")]
        template: Option<PathBuf>,
        #[command(flatten)]
        output: BenchOutput,
    },
}

/// The whole program: reads the command line, logs as the settings say, runs the command; the process's exit status.
pub fn status(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    // Two TLS providers in one tree panic when the first connection asks for one.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    // Numbers, recordings and keys are nobody else's to read.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let cli = Cli::parse_from(arguments);
    // Wrong settings are told by the command itself.
    let settings = config::load(&config::layers(cli.config.as_ref(), &cli.flags));
    if let Ok(filter) = settings.and_then(|settings| settings.log_filter()) {
        crate::log::begin(filter);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no threads to run on");
    match runtime.and_then(|runtime| runtime.block_on(run(cli))) {
        Ok(status) => status.clamp(0, 255) as u8,
        Err(error) => {
            eprintln!("huying: {error:#}");
            1
        }
    }
}

/// Runs the command line; the process's exit status.
pub async fn run(cli: Cli) -> Result<i32> {
    if let Some(file) = cli.config.as_ref().filter(|file| !file.exists()) {
        bail!(
            "there is no settings file {}. FIX: leave --config out, or write the file",
            file.display()
        );
    }
    let layers = config::layers(cli.config.as_ref(), &cli.flags);
    let command = cli.command.unwrap_or(Command::Serve);
    if let Command::Config(ConfigCommand::Show) = command {
        for shown in config::show(&layers)? {
            println!("{:<16} {:<34} {}", shown.key, shown.value, shown.source);
        }
        config::load(&layers)?;
        return Ok(0);
    }
    let config = config::load(&layers)?;
    match command {
        Command::Serve => crate::serve::run(config).await,
        Command::Demo { json, lines } => crate::demo::run(config, lines, json).await,
        Command::Simulate(args) => tokio::task::block_in_place(|| crate::simulate::run(&args)),
        Command::Doctor { call } => crate::doctor::run(&config, call).await,
        Command::Backup { to, recordings } => {
            crate::backup::command(&config, cli.config.as_deref(), &to, recordings).await
        }
        Command::Restore { from, check: true } => crate::backup::check_command(&from).await,
        Command::Restore { from, check: false } => {
            crate::backup::restore_command(&config, &from).await
        }
        Command::Models(Models::List) => crate::models::list(&config),
        Command::Models(Models::Pull { name, from }) => {
            crate::models::pull(&config, &name, from.as_deref()).await
        }
        Command::Models(Models::Check) => crate::models::check(&config),
        Command::Admin(Admin::Create) => crate::serve::create_admin(&config).await,
        Command::Journal(JournalCommand::Show { full }) => crate::journal::show(&config, full),
        Command::Bench(bench) => crate::bench::run(&config, bench).await,
        Command::Config(ConfigCommand::Show) => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn commands_and_settings_do_not_take_each_others_flags() {
        Cli::command().debug_assert();
        let line = ["huying", "simulate", "--log", "info", "--log-file", "x"];
        let cli = Cli::parse_from(line);
        assert_eq!(cli.flags.log.as_deref(), Some("info"));
        let Some(Command::Simulate(args)) = cli.command else {
            panic!("another command");
        };
        assert_eq!(args.log_file.as_deref(), Some(std::path::Path::new("x")));
    }
}
