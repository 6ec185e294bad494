//! `sleep`: does nothing for a while, and says how much of it is over.

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

use crate::error::Result;
use crate::model::quantity::Seconds;
use crate::ops::parameters::Span;
use crate::ops::{Context, Failure, Operation};

/// How often it reports.
const STEP: Duration = Duration::from_millis(100);

#[derive(Args, Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Sleep {
    /// How long: 60, 1.5, 90s, 1h30m
    #[arg(value_name = "DUR", allow_hyphen_values = true)]
    duration: Span,
}

impl Operation for Sleep {
    const NAME: &'static str = "sleep";
    const ABOUT: &'static str = "Sleep, with progress";
    const LONG_ABOUT: &'static str = "Sleep for a time, with progress. The partial result says how long it has slept.";
    const EXAMPLES: &'static [&'static str] = &["sleep 1m30s"];

    fn check(&self) -> Result<()> {
        Ok(())
    }

    fn run(self, context: &mut Context) -> std::result::Result<Value, Failure> {
        let whole = self.duration.0;
        loop {
            let slept = context.elapsed().min(whole);
            context.progress(slept.as_millis() as u64, whole.as_millis() as u64);
            if slept >= whole {
                return Ok(json!({ "slept_seconds": Seconds(whole) }));
            }
            let nap = context.pause(STEP.min(whole - slept));
            let slept = json!({ "slept_seconds": (context.elapsed().as_secs_f64() * 1e3).round() / 1e3 });
            match nap {
                Ok(()) => context.partial(|| slept),
                Err(failure) => {
                    context.partial_now(&slept);
                    return Err(failure);
                }
            }
        }
    }
}
