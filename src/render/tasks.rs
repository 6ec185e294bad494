//! placeholder
use crate::model::queue_data::{CleanData, PausedData, StatsData, TaskListData, TaskStatesData};
use crate::model::task::TaskData;
use std::time::Duration;
pub fn list(data: &TaskListData, _now: Duration, _width: Option<u16>, _colour: bool) -> String {
    serde_json::to_string_pretty(data).unwrap_or_default()
}
pub fn task(data: &TaskData, _colour: bool) -> String {
    serde_json::to_string_pretty(data).unwrap_or_default()
}
pub fn states(data: &TaskStatesData) -> String {
    serde_json::to_string_pretty(data).unwrap_or_default()
}
pub fn paused(data: &PausedData) -> String {
    serde_json::to_string_pretty(data).unwrap_or_default()
}
pub fn stats(data: &StatsData) -> String {
    serde_json::to_string_pretty(data).unwrap_or_default()
}
pub fn cleaned(data: &CleanData) -> String {
    serde_json::to_string_pretty(data).unwrap_or_default()
}
