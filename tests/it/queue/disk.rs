//! A disk that is full loses nothing: a submit is refused as a whole, and what runs meanwhile has its end all the same.

#![expect(clippy::disallowed_methods, reason = "a test mounts a disk")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::queue::{Queue, UNTIL_GO};
use crate::support::{LIMIT, SOON, wait_until};

/// A small disk of memory, where we may mount one.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    fn new(size: &str) -> Option<Self> {
        let disk = Self { folder: crate::support::folder() };
        match disk.mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]) {
            Ok(()) => Some(disk),
            Err(reason) => {
                crate::support::skip("mount", &format!("tmpfs cannot be mounted: {reason}"));
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn grow(&self, size: &str) {
        self.mount(&["-o", &format!("remount,size={size}")]).expect("a larger disk");
    }

    fn mount(&self, options: &[&str]) -> Result<(), String> {
        let done = Command::new("mount").args(options).arg(self.path()).output().map_err(|error| error.to_string())?;
        if done.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&done.stderr).trim().to_owned()) }
    }

    /// Takes all the room that is left, to the last byte. Gives the file that has it.
    fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let mut file = fs::OpenOptions::new().append(true).create(true).open(&path).expect("a file");
        for size in [1 << 16, 1 << 12, 1] {
            let bytes = vec![0; size];
            while std::io::Write::write_all(&mut file, &bytes).is_ok() {}
        }
        path
    }
}

impl Drop for Disk {
    /// After a test that failed a process that was killed may still keep it busy.
    fn drop(&mut self) {
        _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

#[track_caller]
fn assert_sound(queue: &Queue) {
    let store = runner::store::Store::open(queue.state()).expect("the store opens");
    assert!(store.is_sound().expect("the store can be read"), "the store is damaged");
}

/// A submit is refused for want of room, with exit code 125.
#[track_caller]
fn assert_refused(queue: &Queue) {
    let done = queue.runner("task submit", "--json -- true").run();
    let answer = done.assert_code(125).json();
    let error = &answer["error"];
    let told = error["message"].as_str().unwrap_or_default();
    assert!(told.contains("full") || told.contains("No space left"), "{answer:#}");
}

#[test]
fn tasks_that_fill_the_disk_end_all_the_same() {
    let Some(disk) = Disk::new("1m") else { return };
    let queue = Queue::at(&disk.path().join("state"));
    let victim = crate::support::queue::quoted(crate::support::victim_path());
    let flood = queue.submit(
        "",
        &format!("{UNTIL_GO}; {victim} flood 5000000; touch flooded; until [ -e on ]; do sleep 0.01; done"),
    );
    let short = queue.submit("", "until [ -e flooded ]; do sleep 0.01; done; echo short; touch over");
    for id in [&flood, &short] {
        queue.await_status(id, "running");
    }
    queue.touch("go");
    wait_until(LIMIT, "a full disk", || queue.path("flooded").exists() && queue.path("over").exists());
    let filler = disk.fill();
    assert_refused(&queue);
    assert_refused(&queue);
    queue.touch("on");
    fs::remove_file(filler).expect("our own file");
    disk.grow("20m");
    // What they wrote is not all in their logs, and they say so.
    for (id, bytes) in [(&flood, 5_000_000), (&short, 6)] {
        let answer = queue.answer(id).assert_code(125).json();
        let told = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(told.contains("No space left"), "{answer:#}");
        assert_eq!(answer["error"]["details"]["partial_result"]["stdout_bytes"], bytes);
        assert_eq!(queue.status(id)["attempts"], 1);
    }
    assert_eq!(queue.data("task stats", &[])["total"], 2, "nothing of what was refused is there");
    let id = queue.submit("", "echo whole");
    queue.complete(&[&id]);
    assert_sound(&queue);
}

#[test]
fn an_end_that_cannot_be_stored_is_stored_later() {
    let Some(disk) = Disk::new("4m") else { return };
    let queue = Queue::at(&disk.path().join("state"));
    let ids: Vec<String> = (0..4).map(|n| queue.submit_running("", &format!("{UNTIL_GO}; echo {n} >>log"))).collect();
    let filler = disk.fill();
    queue.touch("go");
    wait_until(SOON, "the end of the jobs", || queue.lines("log").len() == 4);
    assert_refused(&queue);
    fs::remove_file(filler).expect("our own file");
    queue.complete_all(&ids);
    assert_eq!(queue.lines("log").len(), 4, "none ran twice");
    assert_sound(&queue);
}

#[test]
fn a_worker_that_dies_on_a_full_disk_has_lost_nothing() {
    let Some(disk) = Disk::new("4m") else { return };
    let queue = Queue::at(&disk.path().join("state"));
    let [lost, kept] =
        ["", "--on-crash retry"].map(|options| queue.submit_running(options, &format!("echo x >>log; {UNTIL_GO}")));
    let waiting = queue.submit("--delay 0.1s", "true");
    let pid = queue.worker_pid().expect("a worker");
    let filler = disk.fill();
    crate::support::queue::kill(pid);
    assert_refused(&queue);
    fs::remove_file(filler).expect("our own file");
    queue.touch("go");
    queue.answer(&lost).assert_code(125);
    queue.complete(&[&kept, &waiting]);
    assert_eq!(queue.status(&lost)["error"]["details"]["reason"], "worker_lost");
    assert_sound(&queue);
}

#[test]
fn a_notice_that_cannot_be_noted_does_not_hold_the_worker() {
    let Some(disk) = Disk::new("4m") else { return };
    let queue = Queue::at(&disk.path().join("state"));
    let mark = crate::support::queue::quoted(queue.path("told"));
    let line = format!("cat >/dev/null; touch {mark}; {UNTIL_GO}");
    let submit = queue.runner("task submit", "--on-done").arg(&line).args(["--", "true"]);
    let id = crate::support::queue::id_of(submit.run().assert_code(0));
    wait_until(SOON, "the notice", || queue.path("told").exists());
    let filler = disk.fill();
    queue.touch("go");
    assert_refused(&queue);
    fs::remove_file(filler).expect("our own file");
    queue.await_task(&id, "delivered", |task| task["notices"][0]["delivered"] == true);
    queue.worker("stop").run().assert_code(0);
}

#[test]
fn where_there_is_no_room_for_a_store_none_is_made() {
    let Some(disk) = Disk::new("64k") else { return };
    let queue = Queue::at(&disk.path().join("state"));
    let filler = disk.fill();
    assert_refused(&queue);
    fs::remove_file(filler).expect("our own file");
    disk.grow("4m");
    let id = queue.submit("", "true");
    queue.complete(&[&id]);
    assert_sound(&queue);
}
