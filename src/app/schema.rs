//! `runner schema`: JSON Schemas of what runner writes and reads, derived from the very types.
//!
//! Called by `main`. There is no second description of the envelope, of an event or of an operation's parameters anywhere.

use schemars::Schema;
use schemars::generate::SchemaSettings;

use crate::error::{Error, Result};
use crate::model::envelope::Envelope;
use crate::model::event_record::EventRecord;
use crate::model::history_data::HistoryData;
use crate::model::queue_data::{StatsData, TaskListData, WorkerData};
use crate::model::task::TaskData;
use crate::ops::{self, OPERATIONS};

/// The schemas that are no operation's.
const OWN: &[&str] = &["envelope", "event", "task", "task-list", "stats", "worker", "history"];

/// A schema as readable JSON, with a newline at the end. That of a task, of a list and so on is of the whole envelope in
/// which it is the answer. Without a name it is that of the envelope, and the definitions in
/// it hold all others.
pub fn text(name: Option<&str>) -> Result<String> {
    let schema = match name {
        None => everything(),
        Some("envelope") => schemars::schema_for!(Envelope),
        Some("event") => schemars::schema_for!(EventRecord),
        Some("task") => schemars::schema_for!(Envelope<TaskData>),
        Some("task-list") => schemars::schema_for!(Envelope<TaskListData>),
        Some("stats") => schemars::schema_for!(Envelope<StatsData>),
        Some("worker") => schemars::schema_for!(Envelope<WorkerData>),
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
    generator.subschema_for::<TaskData>();
    generator.subschema_for::<TaskListData>();
    generator.subschema_for::<StatsData>();
    generator.subschema_for::<WorkerData>();
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
