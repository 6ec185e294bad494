//! placeholder
use crate::model::queue_data::{ScaleData, StopData, WorkerData};
pub fn status(data: &WorkerData) -> String {
    serde_json::to_string_pretty(data).unwrap_or_default()
}
pub fn scaled(data: &ScaleData) -> String {
    serde_json::to_string_pretty(data).unwrap_or_default()
}
pub fn stopped(data: &StopData) -> String {
    serde_json::to_string_pretty(data).unwrap_or_default()
}
