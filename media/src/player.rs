//! What a leg is being played: one prompt after the other, cut without a click.

use crate::prompt::Prompt;
use crate::{FRAME, Pcm};
use model::PlayId;
use std::collections::VecDeque;
use std::sync::Arc;

/// Plays that may wait behind each other.
pub const WAITING: usize = 16;

#[derive(Clone, Debug)]
pub struct Player {
    queue: VecDeque<(PlayId, Arc<Prompt>)>,
    /// Samples of the first one already played.
    position: usize,
    /// A stopped prompt's next samples, to fade it out.
    tail: Option<(Arc<Prompt>, usize)>,
}

/// What one frame of playing began and ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub started: Option<PlayId>,
    pub finished: Option<PlayId>,
}

impl Default for Player {
    fn default() -> Self {
        Player {
            queue: VecDeque::with_capacity(WAITING),
            position: 0,
            tail: None,
        }
    }
}

impl Player {
    /// `false`: too many are waiting.
    pub fn play(&mut self, play: PlayId, prompt: Arc<Prompt>) -> bool {
        if self.queue.len() >= WAITING {
            return false;
        }
        self.queue.push_back((play, prompt));
        true
    }

    pub fn stop(&mut self, play: PlayId) {
        let Some(at) = self.queue.iter().position(|(id, _)| *id == play) else {
            return;
        };
        let removed = self.queue.remove(at);
        if at == 0 {
            if let Some((_, prompt)) = removed.filter(|_| self.position > 0) {
                self.tail = Some((prompt, self.position));
            }
            self.position = 0;
        }
    }

    pub fn idle(&self) -> bool {
        self.queue.is_empty() && self.tail.is_none()
    }

    /// The next frame; `None` leaves `pcm` alone.
    pub fn frame(&mut self, pcm: &mut Pcm) -> Option<Progress> {
        if self.idle() {
            return None;
        }
        pcm.fill(0);
        let mut progress = Progress::default();
        let mut over = false;
        if let Some((play, prompt)) = self.queue.front() {
            if self.position == 0 {
                progress.started = Some(*play);
            }
            let rest = &prompt.pcm[self.position.min(prompt.pcm.len())..];
            let n = rest.len().min(FRAME);
            pcm[..n].copy_from_slice(&rest[..n]);
            self.position += FRAME;
            if rest.len() <= FRAME {
                progress.finished = Some(*play);
                over = true;
            }
        }
        if over {
            self.queue.pop_front();
            self.position = 0;
        }
        if let Some((prompt, position)) = self.tail.take() {
            for (n, (out, old)) in pcm
                .iter_mut()
                .zip(&prompt.pcm[position.min(prompt.pcm.len())..])
                .enumerate()
            {
                let faded = i32::from(*old) * (FRAME - n) as i32 / FRAME as i32;
                *out = out.saturating_add(faded as i16);
            }
        }
        Some(progress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::PromptId;

    fn prompt(samples: usize, value: i16) -> Arc<Prompt> {
        let id = PromptId(Default::default());
        Arc::new(Prompt::new(id, vec![value; samples]))
    }
    fn story(player: &mut Player, frames: usize) -> String {
        let mut pcm = [0; FRAME];
        (0..frames)
            .map(|_| match player.frame(&mut pcm) {
                None => "-".to_owned(),
                Some(p) => {
                    let started = p.started.map_or(String::new(), |id| format!("<{}", id.0));
                    let finished = p.finished.map_or(String::new(), |id| format!("{}>", id.0));
                    format!("{started}{}{finished}", pcm[80])
                }
            })
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn plays_follow_each_other_and_say_when_they_begin_and_end() {
        let mut player = Player::default();
        player.play(PlayId(1), prompt(400, 10));
        player.play(PlayId(2), prompt(160, 20));
        player.play(PlayId(3), prompt(0, 0));
        assert_eq!(story(&mut player, 6), "<110 10 01> <2202> <303> -");
    }

    #[test]
    fn a_stopped_play_fades_within_its_next_frame_and_never_finishes() {
        let mut player = Player::default();
        player.play(PlayId(1), prompt(8000, 1000));
        player.play(PlayId(2), prompt(160, 20));
        assert_eq!(story(&mut player, 1), "<11000");
        player.stop(PlayId(2));
        player.stop(PlayId(1));
        player.stop(PlayId(9));
        assert_eq!(story(&mut player, 3), "500 - -");
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut player = Player::default();
        let taken = (0..40)
            .filter(|n| player.play(PlayId(*n), prompt(10, 1)))
            .count();
        assert_eq!(taken, WAITING);
    }
}
