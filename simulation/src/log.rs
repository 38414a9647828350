//! What happened, a line each. A line nobody reads is not written.

/// Where the lines go.
#[derive(Default)]
pub enum Log {
    #[default]
    Nowhere,
    Kept(Vec<String>),
    /// To somebody who writes them down as they come: a log may be longer than memory.
    To(Box<dyn FnMut(&str)>),
}

impl Log {
    pub fn listens(&self) -> bool {
        !matches!(self, Log::Nowhere)
    }

    pub fn push(&mut self, ms: u64, text: &str) {
        let line = || format!("{:>6}.{:03} {text}", ms / 1000, ms % 1000);
        match self {
            Log::Nowhere => {}
            Log::Kept(lines) => lines.push(line()),
            Log::To(reader) => reader(&line()),
        }
    }

    /// Empty unless they are kept.
    pub fn lines(&self) -> &[String] {
        match self {
            Log::Kept(lines) => lines,
            Log::Nowhere | Log::To(_) => &[],
        }
    }
}

/// A line of the stage's log; not even formatted when nobody reads.
macro_rules! note {
    ($stage:expr, $($format:tt)+) => {
        if $stage.log.listens() {
            let text = format!($($format)+);
            $stage.log.push($stage.ms, &text);
        }
    };
}
pub(crate) use note;
