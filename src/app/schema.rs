//! `runner schema`: the JSON Schema of the envelope, derived from the types that every answer is made of.
//!
//! Called by `main`. There is no second description of the envelope anywhere.

use crate::error::{Error, Result};
use crate::model::envelope::Envelope;

/// The schema as readable JSON, with a newline at the end.
pub fn text() -> Result<String> {
    let schema = schemars::schema_for!(Envelope);
    let mut text = serde_json::to_string_pretty(&schema)
        .map_err(|error| Error::Internal(format!("failed to write the schema: {error}")))?;
    text.push('\n');
    Ok(text)
}
