//! `runner schema`: JSON Schemas of what runner writes and reads, derived from the very types.
//!
//! Called by `main`. There is no second description of the envelope, of an event or of an operation's parameters anywhere.

use schemars::Schema;
use schemars::generate::SchemaSettings;

use crate::error::{Error, Result};
use crate::model::envelope::Envelope;
use crate::model::event_record::EventRecord;
use crate::model::history_data::HistoryData;
use crate::ops::{self, OPERATIONS};

/// The schemas that are no operation's.
const OWN: &[&str] = &["envelope", "event", "history"];

/// A schema as readable JSON, with a newline at the end. Without a name it is that of the envelope, and the definitions in
/// it hold all others.
pub fn text(name: Option<&str>) -> Result<String> {
    let schema = match name {
        None => everything(),
        Some("envelope") => schemars::schema_for!(Envelope),
        Some("event") => schemars::schema_for!(EventRecord),
        Some("history") => schemars::schema_for!(Envelope<HistoryData>),
        Some(name) => ops::by_name(name).ok_or_else(|| unknown(name))?.schema(),
    };
    let mut text = serde_json::to_string_pretty(&schema)
        .map_err(|error| Error::Internal(format!("failed to write the schema: {error}")))?;
    text.push('\n');
    Ok(text)
}

fn everything() -> Schema {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    generator.subschema_for::<EventRecord>();
    generator.subschema_for::<HistoryData>();
    for operation in OPERATIONS {
        operation.define(&mut generator);
    }
    generator.into_root_schema_for::<Envelope>()
}

fn unknown(name: &str) -> Error {
    let names: Vec<_> = OWN.iter().copied().chain(OPERATIONS.iter().map(|entry| entry.name)).collect();
    Error::Invalid {
        argument: Some("NAME".to_owned()),
        message: format!("there is no schema '{name}'"),
        remediation: format!("Give one of: {}", names.join(", ")),
    }
}
