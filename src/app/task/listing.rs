//! `runner task list` and `runner task status`.

use crate::app::queue_answer::succeed;
use crate::app::task::{Call, open, open_for, view};
use crate::error::Result;
use crate::model::exit_code::Exit;
use crate::model::queue_data::TaskListData;
use crate::model::task::TaskStatus;
use crate::platform::{descriptors, pty};
use crate::render::tasks as shown;
use crate::store::Filter;
use crate::time::clock::unix_time;

impl Call {
    pub(super) fn list(&self, statuses: Vec<TaskStatus>, group: Option<String>, limit: u32) -> Result<Exit> {
        let mut data = TaskListData::default();
        if let Some(store) = open()? {
            for row in store.tasks(&Filter { statuses, group, limit })? {
                data.tasks.push(view::brief(&store, &row)?);
            }
        }
        let width = pty::size(descriptors::stdout()).map(|size| size.columns);
        let text = shown::list(&data, unix_time(), width, colours());
        succeed(&data, &text, &self.options, &self.begun)
    }

    pub(super) fn status(&self, id: &str) -> Result<Exit> {
        let store = open_for(id)?;
        let row = store.task(&store.whole_id(id)?)?;
        let data = view::whole(&store, &row)?;
        succeed(&data, &shown::task(&data, unix_time(), colours()), &self.options, &self.begun)
    }
}

/// Text on stdout may be coloured.
pub(super) fn colours() -> bool {
    descriptors::is_terminal(descriptors::stdout()) && !crate::app::answer::no_colour()
}
