//! `huying models`: what recognises speech, and how it comes here.

use crate::config::Config;
use anyhow::{Result, bail};
use engine::Hearing;
use indicatif::{ProgressBar, ProgressStyle};
use speech::models::{self, Presence, Progress, Sources};
use std::path::Path;

pub fn list(config: &Config) -> Result<i32> {
    let folder = config.models();
    println!("{:<14} {:>7}  {:<10} about", "model", "MB", "here");
    for (model, presence) in models::list(&folder) {
        let here = match presence {
            Presence::Absent => "no".to_owned(),
            Presence::Present => "yes".to_owned(),
            Presence::Partial { bytes } => format!("{} %", bytes * 100 / model.bytes.max(1)),
            Presence::Damaged { .. } => "damaged".to_owned(),
        };
        let used = if config.model == model.name {
            " (configured)"
        } else {
            ""
        };
        println!(
            "{:<14} {:>7}  {here:<10} {}{used}",
            model.name,
            model.bytes / 1_000_000,
            model.about
        );
    }
    println!(
        "\nGet one:  huying models pull NAME   (kept in {})",
        folder.display()
    );
    Ok(0)
}

pub async fn pull(config: &Config, name: &str, from: Option<&Path>) -> Result<i32> {
    let Some(model) = models::find(name) else {
        let known: Vec<&str> = models::CATALOGUE.iter().map(|model| model.name).collect();
        bail!(
            "there is no model `{name}`. FIX: one of {}",
            known.join(", ")
        );
    };
    if let Some(file) = from.filter(|file| !file.is_file()) {
        bail!(
            "there is no file {}. FIX: name the ggml file to take the model from",
            file.display()
        );
    }
    let sources = Sources {
        from: from.map(Path::to_owned),
        ..Sources::default()
    };
    let bar = ProgressBar::new(model.bytes);
    let style = "{msg:<44} {bar:28} {bytes:>10} of {total_bytes:<10} {eta}";
    bar.set_style(ProgressStyle::with_template(style)?);
    let show = bar.clone();
    let pulled = models::pull(
        model,
        &config.models(),
        &sources,
        &move |progress| match progress {
            Progress::Trying { source } => show.set_message(source),
            Progress::Bytes { done, total } => {
                show.set_length(total);
                show.set_position(done);
            }
            Progress::Working { what } => show.set_message(what),
            Progress::Failed(tried) => show.println(format!("not from {tried}")),
        },
    )
    .await?;
    bar.finish_and_clear();
    match pulled.source {
        Some(source) => println!("{name} is here, from {source}: {}", pulled.path.display()),
        None => println!("{name} was here already: {}", pulled.path.display()),
    }
    Ok(0)
}

pub fn check(config: &Config) -> Result<i32> {
    let folder = config.models();
    let mut status = 0;
    let mut seen = 0;
    for (model, presence) in models::list(&folder) {
        if presence == Presence::Absent {
            continue;
        }
        seen += 1;
        match models::check(model, &model.path(&folder)) {
            Ok(()) => println!("ok       {}", model.name),
            Err(error) => {
                status = 1;
                println!(
                    "FAILED   {}: {error}. FIX: huying models pull {}",
                    model.name, model.name
                );
            }
        }
    }
    // `--model FILE`: no hash is known of it, so it is read.
    if models::find(&config.model).is_none() {
        seen += 1;
        match crate::hearing::open(config) {
            Hearing::Recogniser { .. } => println!("ok       {}", config.model),
            Hearing::None { why } => {
                status = 1;
                println!("FAILED   {why}");
            }
        }
    }
    if seen == 0 {
        println!("no model in {}. FIX: huying models pull", folder.display());
        status = 1;
    }
    Ok(status)
}
