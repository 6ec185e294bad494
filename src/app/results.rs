//! `--results`: what became of every job, as a file of envelopes or as a folder with one folder for each job.
//!
//! Written as jobs end, so that all that is known is there also where the batch is killed. The folder of a job is called
//! by its id, or by its number; what a file name cannot hold is written as `%XX`.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::capture::content::Content;
use crate::error::{Error, Result};
use crate::model::batch::Ended;
use crate::model::envelope::Envelope;
use crate::model::outcome::StreamRecord;
use crate::platform::descriptors::{self, Moved};
use crate::platform::folder::{self, Folder};
use crate::render::{Format, Style, json::Json};

/// No name is longer, in bytes. Every file system takes so much.
const LONGEST_NAME: usize = 200;
/// A FIFO's reader that takes nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(10);
const HELP: &str = "Check --results: its folder must exist and be writable, with room for the results";

/// Where results go.
#[derive(Debug)]
pub struct Results {
    path: PathBuf,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// One envelope a line. `torn`: the last line could not be written whole.
    Lines {
        file: OwnedFd,
        torn: bool,
    },
    Folder(Folder),
}

impl Results {
    /// Makes the file anew, or the folder where it does not exist. A folder is meant where there is one, or where the path
    /// ends with a slash.
    pub fn open(path: &Path) -> Result<Self> {
        let place = if Self::wants_all_bytes(path) {
            let folder = Folder::open_or_make(path).map_err(Error::path("make the folder", path, HELP))?;
            // Better now than at the end of the first job.
            try_folder(&folder).map_err(Error::path("write into the folder", path, HELP))?;
            Place::Folder(folder)
        } else {
            Place::Lines { file: descriptors::output(path, HELP)?, torn: false }
        };
        Ok(Self { path: path.to_owned(), place })
    }

    /// They are a folder, which holds every byte that the jobs write, and not only what an envelope does.
    pub fn wants_all_bytes(path: &Path) -> bool {
        use std::os::unix::ffi::OsStrExt;
        path.as_os_str().as_bytes().ends_with(b"/") || path.is_dir()
    }

    /// A job is over.
    pub fn note(&mut self, ended: &Ended, envelope: &Envelope) -> Result<()> {
        let line = Json.render(envelope, Style::default()).into_bytes();
        match &mut self.place {
            Place::Lines { file, torn } => {
                let line = if *torn { [b"\n", line.as_slice()].concat() } else { line };
                let written = match descriptors::write_patiently(file.as_fd(), &line, PATIENCE) {
                    Ok(Moved::Bytes(_)) => Ok(()),
                    Ok(Moved::WouldBlock | Moved::Broken) => {
                        Err(io::Error::new(io::ErrorKind::TimedOut, "nobody reads it"))
                    }
                    Err(error) => Err(error),
                };
                *torn = written.is_err();
                written.map_err(Error::path("write", &self.path, HELP))
            }
            Place::Folder(folder) => {
                let name = folder_name(ended.id.as_deref(), ended.seq);
                write_folder(folder, OsStr::new(&name), ended, &line).map_err(Error::path(
                    "write the results into",
                    self.path.join(name),
                    HELP,
                ))
            }
        }
    }
}

/// Fails where nothing can be made in this folder.
fn try_folder(folder: &Folder) -> io::Result<()> {
    let probe = folder::temporary_name();
    folder.create_shared(&probe)?;
    folder.remove(&probe)
}

fn write_folder(results: &Folder, name: &OsStr, ended: &Ended, envelope: &[u8]) -> io::Result<()> {
    match results.make_shared(name) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    // A link could lead anywhere.
    let folder = results.open_below(name)?;
    let nothing = StreamRecord::default();
    let (stdout, stderr) = ended.outcome.as_ref().map_or((&nothing, &nothing), |it| (&it.stdout, &it.stderr));
    for (name, record) in [("stdout", stdout), ("stderr", stderr)] {
        let mut file = make_anew(&folder, name)?;
        let mut content = Content::of(record);
        while let Some(piece) = content.next_piece()? {
            file.write_all(piece)?;
        }
    }
    // Last: where it is, the others are whole.
    make_anew(&folder, "envelope.json")?.write_all(envelope)
}

/// A file of an earlier run, or a link in its place, is not written through.
fn make_anew(folder: &Folder, name: &str) -> io::Result<File> {
    match folder.remove(OsStr::new(name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => folder.create_shared(OsStr::new(name)),
    }
}

/// The folder of a job. No two jobs of a list have the same.
fn folder_name(id: Option<&str>, seq: u64) -> String {
    let number = seq.to_string();
    let Some(id) = id.filter(|id| *id != number) else { return number };
    // An id that looks like a number is not to be mistaken for another job's.
    let is_number = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    let mut name = String::new();
    for (index, character) in id.char_indices() {
        let first = index == 0 && (character == '.' || is_number);
        if first || matches!(character, '/' | '%') || character.is_control() {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                name.push_str(&format!("%{byte:02X}"));
            }
        } else {
            name.push(character);
        }
    }
    if name.is_empty() {
        // An escape of no byte at all is no other id's.
        return "%".to_owned();
    }
    if name.len() > LONGEST_NAME {
        let hash = blake3::hash(id.as_bytes()).to_hex();
        let mut cut = LONGEST_NAME - 34;
        while !name.is_char_boundary(cut) {
            cut -= 1;
        }
        name.truncate(cut);
        name.push_str("%~");
        name.push_str(&hash[..32]);
    }
    name
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use proptest::prelude::proptest;

    use super::{LONGEST_NAME, Results, folder_name};
    use crate::model::answer::{self, Extent, RequestInfo};
    use crate::model::batch::{Ended, Fingerprint, Verdict};
    use crate::model::envelope::Envelope;
    use crate::model::outcome::{End, Outcome, StreamRecord};

    fn ended(seq: u64, id: Option<&str>, stdout: &[u8]) -> (Ended, Envelope) {
        let record = StreamRecord {
            captured: true,
            head: stdout.to_vec(),
            total: stdout.len() as u64,
            ..StreamRecord::default()
        };
        let outcome = Outcome { stdout: record, ..Outcome::plain(None, End::Exited(0)) };
        let info = RequestInfo {
            request_id: "req_1".to_owned(),
            timestamp: "2024-01-15T10:30:00Z".to_owned(),
            duration: std::time::Duration::ZERO,
            name: None,
            job_id: id.map(str::to_owned),
            attempts: Vec::new(),
            secrets: crate::model::secrets::Secrets::default(),
        };
        let envelope = answer::of_outcome(&outcome, "true", Extent::Kept, &info);
        let ended = Ended {
            seq,
            id: id.map(str::to_owned),
            title: String::new(),
            command: "true".to_owned(),
            label: String::new(),
            fingerprint: Fingerprint(0),
            job_id: String::new(),
            verdict: Verdict::Succeeded,
            attempts: Vec::new(),
            outcome: Some(outcome),
            refusal: None,
            started_at: None,
            ended_at: std::time::Duration::ZERO,
            interrupted_before: false,
            subject: None,
        };
        (ended, envelope)
    }

    #[test]
    fn a_file_has_a_line_for_each_job() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.jsonl");
        fs::write(&path, "old").unwrap();
        let mut results = Results::open(&path).unwrap();
        assert!(!Results::wants_all_bytes(&path));
        for (seq, text) in [(1, "a\n"), (2, "b\nc")] {
            let (ended, envelope) = ended(seq, None, text.as_bytes());
            results.note(&ended, &envelope).unwrap();
        }
        let text = fs::read_to_string(&path).unwrap();
        let stdout: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["data"]["stdout"].clone())
            .collect();
        assert_eq!(stdout, ["a\n", "b\nc"]);
    }

    #[test]
    fn a_folder_has_one_for_each_job() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out/results/");
        let mut results = Results::open(&path).unwrap();
        assert!(Results::wants_all_bytes(&path));
        for bytes in [&b"long before\n"[..], b"\xff\0bytes"] {
            let (ended, envelope) = ended(1, Some("../up"), bytes);
            results.note(&ended, &envelope).unwrap();
        }
        let job = path.join("%2E.%2Fup");
        assert_eq!(fs::read(job.join("stdout")).unwrap(), b"\xff\0bytes");
        assert_eq!(fs::read(job.join("stderr")).unwrap(), b"");
        let envelope: serde_json::Value =
            serde_json::from_slice(&fs::read(job.join("envelope.json")).unwrap()).unwrap();
        assert_eq!(envelope["metadata"]["job_id"], "../up");
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
    }

    #[test]
    fn a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (folder.path().join("results"), folder.path().join("elsewhere"));
        fs::create_dir(&path).unwrap();
        fs::create_dir(&elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, path.join("1")).unwrap();
        let mut results = Results::open(&path).unwrap();
        let (ended, envelope) = ended(1, None, b"");
        assert!(results.note(&ended, &envelope).is_err());
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_told_at_the_start() {
        assert!(Results::open(std::path::Path::new("/proc/none/")).is_err());
        assert!(Results::open(std::path::Path::new("/nonexistent/file")).is_err());
    }

    #[test]
    fn names_are_files_of_their_own() {
        let names = [
            (None, "7"),
            (Some("7"), "7"),
            (Some("8"), "%38"),
            (Some("build all"), "build all"),
            (Some(".."), "%2E."),
            (Some("a/b\n%"), "a%2Fb%0A%25"),
            (Some(""), "%"),
            (Some("é"), "é"),
        ];
        for (id, name) in names {
            assert_eq!(folder_name(id, 7), name);
        }
        let long = [folder_name(Some(&"é".repeat(5000)), 1), folder_name(Some(&"é".repeat(5001)), 1)];
        assert!(long[0] != long[1] && long.iter().all(|name| name.len() <= LONGEST_NAME));
    }

    proptest! {
        #[test]
        fn no_two_jobs_share_a_folder_and_none_is_outside(ids in proptest::collection::vec(".{0,300}|[0-9./%]{0,4}", 0..30)) {
            let different: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
            let names: BTreeSet<String> = different.iter().map(|id| folder_name(Some(id), 1)).collect();
            assert_eq!(names.len(), different.len());
            for name in names {
                assert!(!name.contains('/') && !name.contains('\0') && !name.starts_with('.') && !name.is_empty());
                assert!(name.len() <= LONGEST_NAME);
            }
        }
    }
}
