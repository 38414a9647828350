use anyhow::Context;
use clap::Parser;
use huying::cli::{Cli, run};
use huying::config;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    // Two TLS providers in one tree panic when the first connection asks for one.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let cli = Cli::parse();
    if let Err(error) = log(&cli) {
        eprintln!("huying: {error:#}");
        return ExitCode::FAILURE;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("huying: no threads to run on: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(cli)) {
        Ok(status) => ExitCode::from(status.clamp(0, 255) as u8),
        Err(error) => {
            eprintln!("huying: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// As the settings say; JSON when nobody reads it live.
fn log(cli: &Cli) -> anyhow::Result<()> {
    use std::io::IsTerminal;
    let level = config::load(&config::layers(cli.config.as_ref(), &cli.flags))?.log;
    let filter = EnvFilter::try_new(&level).with_context(|| {
        format!(
            "log: `{level}` is no filter. FIX: error, warn, info, debug, or such as info,sip=debug"
        )
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        builder.init();
    } else {
        builder.json().init();
    }
    Ok(())
}
