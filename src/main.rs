use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(huying::cli::status(std::env::args_os()))
}
