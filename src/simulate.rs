//! `huying simulate`: whole campaigns in virtual time, with everything that can go wrong; what must hold, asked after every step.

use anyhow::{Context, Result, bail};
use clap::Args;
use simulation::log::Log;
use simulation::{Kind, Options, Outcome, Plan, play, shrink, told};
use std::cell::RefCell;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

#[derive(Args, Clone, Debug)]
pub struct Simulate {
    /// Leads of the campaign.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub leads: u32,
    /// Everything that happens follows from it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How many seeds to play, from that one on; more than one is played on all cores.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,
    /// Datagrams lost, of a hundred.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(0..=50))]
    pub loss: u64,
    /// How often the process is killed.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(..=200))]
    pub kills: u32,
    /// What goes wrong: gateway, media, recogniser, database, clock, campaign, operator; `all` or `none`.
    #[arg(
        long,
        default_value = "all",
        value_delimiter = ',',
        value_name = "KINDS"
    )]
    pub faults: Vec<String>,
    /// Write the log of a single seed here instead of printing it.
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// No log, only what came of it.
    #[arg(long)]
    pub quiet: bool,
}

/// Exit status 1 when something does not hold.
pub fn run(args: &Simulate) -> Result<i32> {
    let faults = kinds(&args.faults)?;
    let options = |seed| Options {
        leads: args.leads,
        seed,
        loss: args.loss,
        kills: args.kills,
        faults: faults.clone(),
    };
    let last = args.seed.saturating_add(args.seeds - 1);
    let (outcome, failed) = match args.seeds {
        1 => {
            let outcome = one(&Plan::draw(&options(args.seed)), args)?;
            let failed = outcome.violation.is_some().then_some(args.seed);
            (outcome, failed)
        }
        _ => many(args.seed..=last, &options),
    };
    match args.seeds {
        1 => println!("seed {} · {} leads", args.seed, args.leads),
        _ => println!("seeds {} to {last} · {} leads each", args.seed, args.leads),
    }
    println!("{}", told::summary(&outcome));
    let Some(seed) = failed else {
        return Ok(0);
    };
    println!("seed {seed} fails");
    if let Some(found) = shrink::shrink(&Plan::draw(&options(seed))) {
        println!("{}", told::story(&found));
    }
    Ok(1)
}

fn kinds(names: &[String]) -> Result<Vec<Kind>> {
    match names {
        [all] if all == "all" => return Ok(Kind::ALL.to_vec()),
        [none] if none == "none" => return Ok(Vec::new()),
        _ => {}
    }
    let kind = |name: &String| match Kind::named(name) {
        Some(kind) => Ok(kind),
        None => bail!(
            "`{name}` is no kind of fault. FIX: --faults all, none, or some of {}",
            Kind::ALL.map(Kind::name).join(",")
        ),
    };
    names.iter().map(kind).collect()
}

/// One seed, with its log.
fn one(plan: &Plan, args: &Simulate) -> Result<Outcome> {
    let sink: Box<dyn Write> = match &args.log_file {
        Some(path) => Box::new(create(path)?),
        None if args.quiet => return Ok(play(plan, Log::Nowhere)),
        None => Box::new(std::io::stdout()),
    };
    let sink = Rc::new(RefCell::new((BufWriter::new(sink), Ok(()))));
    let to = sink.clone();
    let log = Log::To(Box::new(move |line| {
        let (file, written) = &mut *to.borrow_mut();
        if written.is_ok() {
            *written = writeln!(file, "{line}");
        }
    }));
    let outcome = play(plan, log);
    let (file, written) = &mut *sink.borrow_mut();
    std::mem::replace(written, Ok(()))
        .and_then(|()| file.flush())
        .context(
            "the log could not be written. FIX: room on the disk, or another --log-file FILE",
        )?;
    Ok(outcome)
}

fn create(path: &Path) -> Result<File> {
    File::create(path)
        .with_context(|| format!("--log-file {}: it cannot be written", path.display()))
}

/// Many seeds, one after the other on each core; all of them together, and the first that fails.
fn many(
    seeds: std::ops::RangeInclusive<u64>,
    options: &(dyn Fn(u64) -> Options + Sync),
) -> (Outcome, Option<u64>) {
    let next = AtomicU64::new(*seeds.start());
    let total = Mutex::new((Outcome::default(), None));
    let play_all = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if !seeds.contains(&seed) {
                return;
            }
            let mut outcome = play(&Plan::draw(&options(seed)), Log::Nowhere);
            let violation = outcome.violation.take();
            let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
            let (all, first) = &mut *total;
            all.add(&outcome);
            // The first one is told, whichever core found it.
            if let Some(violation) = violation
                && first.as_ref().is_none_or(|(before, _)| seed < *before)
            {
                *first = Some((seed, violation));
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(play_all);
        }
    });
    let (mut all, first) = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    let failed = first.map(|(seed, violation)| {
        all.violation = Some(violation);
        seed
    });
    (all, failed)
}
