//! What robots hear with: whisper when its model is here, else the honest word that they cannot.

use crate::config::Config;
use engine::Hearing;
use speech::whisper::WhisperError;
use speech::{Source, Whisper};
use std::sync::Arc;

pub fn speech_config(config: &Config) -> speech::Config {
    let defaults = speech::Config::default();
    let workers = match config.speech_workers {
        0 => defaults.workers,
        workers => workers,
    };
    speech::Config {
        workers,
        ..defaults
    }
}

pub fn open(config: &Config) -> Hearing {
    match Whisper::open(&config.model_path()) {
        Ok(whisper) => {
            let name = Source::name(&whisper).to_owned();
            let source: Arc<dyn Source> = Arc::new(whisper);
            Hearing::Recogniser {
                source,
                config: speech_config(config),
                name,
            }
        }
        Err(WhisperError::Missing(path)) => Hearing::None {
            why: match speech::models::find(&config.model) {
                Some(model) => format!(
                    "there is no speech model at {}; FIX: huying --data {} models pull {}",
                    path.display(),
                    config.data.display(),
                    model.name
                ),
                None => format!(
                    "there is no speech model {}; FIX: name a ggml file, or a model of `huying models list`",
                    path.display()
                ),
            },
        },
        Err(WhisperError::Unreadable { path, error }) => Hearing::None {
            why: match speech::models::find(&config.model) {
                Some(model) => format!(
                    "{} is no speech model whisper.cpp can read ({error}); FIX: huying --data {} models pull {}",
                    path.display(),
                    config.data.display(),
                    model.name
                ),
                None => format!(
                    "{} is no speech model whisper.cpp can read ({error}); FIX: bring the whole ggml file, or choose a model of `huying models list`",
                    path.display()
                ),
            },
        },
        Err(error) => Hearing::None {
            why: error.to_string(),
        },
    }
}
