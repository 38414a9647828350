use clap::Parser;
use huying::cli::{Cli, run};
use huying::config;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Two TLS providers in one tree panic when the first connection asks for one.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let cli = Cli::parse();
    log(&cli);
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

/// As the settings say; JSON when nobody reads it live. Wrong settings are told by the command itself.
fn log(cli: &Cli) {
    use std::io::IsTerminal;
    let settings = config::load(&config::layers(cli.config.as_ref(), &cli.flags));
    let Ok(filter) = settings.and_then(|settings| settings.log_filter()) else {
        return;
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        builder.init();
    } else {
        builder.json().init();
    }
}
