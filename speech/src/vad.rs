//! Voice or not, by Silero VAD at 8 kHz: 32 ms at a time, about 55 µs each. Loaded once, its memory is per leg.

use tract_onnx::prelude::*;

/// Samples of one window.
pub const WINDOW: usize = 256;
/// Samples of the window before that the model sees again.
const CONTEXT: usize = 32;
const STATE: usize = 2 * 128;

static WEIGHTS: &[u8] = include_bytes!("../assets/silero_vad_8k.onnx");

#[derive(Debug, thiserror::Error)]
pub enum VadError {
    #[error("the voice detector could not be built: {0}")]
    Build(String),
    #[error("the voice detector failed: {0}")]
    Run(String),
}

type Plan = TypedRunnableModel<TypedModel>;

/// The detector's weights, optimised once. Cheap to share.
#[derive(Clone)]
pub struct Vad {
    plan: Arc<Plan>,
}

/// What the detector remembers of one leg.
#[derive(Clone, Debug)]
pub struct VadState {
    context: [f32; CONTEXT],
    state: [f32; STATE],
}

impl Default for VadState {
    fn default() -> Self {
        VadState {
            context: [0.0; CONTEXT],
            state: [0.0; STATE],
        }
    }
}

impl Vad {
    pub fn new() -> Result<Vad, VadError> {
        let build = || -> TractResult<Plan> {
            tract_onnx::onnx()
                .model_for_read(&mut &WEIGHTS[..])?
                .with_input_fact(0, f32::fact([1, CONTEXT + WINDOW]).into())?
                .with_input_fact(1, f32::fact([2, 1, 128]).into())?
                .into_optimized()?
                .into_runnable()
        };
        let plan = build().map_err(|error| VadError::Build(error.to_string()))?;
        Ok(Vad {
            plan: Arc::new(plan),
        })
    }

    /// Probability of voice in the window that follows those this state has seen.
    pub fn probability(&self, leg: &mut VadState, window: &[i16; WINDOW]) -> Result<f32, VadError> {
        let mut input = [0.0f32; CONTEXT + WINDOW];
        input[..CONTEXT].copy_from_slice(&leg.context);
        for (to, from) in input[CONTEXT..].iter_mut().zip(window) {
            *to = f32::from(*from) / 32768.0;
        }
        leg.context.copy_from_slice(&input[WINDOW..]);
        let mut run = || -> TractResult<f32> {
            let audio = Tensor::from_shape(&[1, CONTEXT + WINDOW], &input)?;
            let state = Tensor::from_shape(&[2, 1, 128], &leg.state)?;
            let out = self.plan.run(tvec![audio.into(), state.into()])?;
            leg.state.copy_from_slice(out[1].as_slice::<f32>()?);
            Ok(out[0].as_slice::<f32>()?[0])
        };
        run().map_err(|error| VadError::Run(error.to_string()))
    }
}
