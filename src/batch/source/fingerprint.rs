//! What makes two jobs the same one: their command, working directory, declared environment and id.
//!
//! How a job is limited, tried again or named does not count, so that a list whose timeouts were raised is still the same
//! list to a later run. Of secrets the names count: a value may be another one each time, and stands in no file.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use blake3::Hasher;

use crate::model::batch::Fingerprint;
use crate::model::job::{Command, JobSpec};

/// Changes when fingerprints of this version are not to be compared with those of earlier ones.
const VERSION: &[u8] = b"runner job 1";
/// The words of an operation's command line before its parameters: the program, which may be installed elsewhere next
/// time, the verb, and the name.
const WORDS_BEFORE_PARAMETERS: usize = 3;

/// The fingerprint of a job with this id.
pub(super) fn of(job: &JobSpec, id: Option<&str>) -> Fingerprint {
    let mut hasher = Hasher::new();
    hasher.update(VERSION);
    match &job.command {
        Command::Argv(argv) => {
            hasher.update(b"a");
            words(&mut hasher, argv.iter().map(|word| word.as_bytes()));
        }
        Command::Shell { shell, line } => {
            hasher.update(b"s");
            words(&mut hasher, [shell.as_bytes(), line.as_bytes()].into_iter());
        }
        Command::Operation { name, argv, .. } => {
            hasher.update(b"o");
            word(&mut hasher, name.as_bytes());
            words(&mut hasher, argv.iter().skip(WORDS_BEFORE_PARAMETERS).map(|word| word.as_bytes()));
        }
    }
    let surroundings = &job.surroundings;
    optional(&mut hasher, surroundings.cwd.as_ref().map(|cwd| cwd.as_os_str().as_bytes()));
    hasher.update(&[u8::from(surroundings.env_clear)]);
    match &surroundings.env[..] {
        [] => words(&mut hasher, [].into_iter()),
        // The last one of a name is what the job gets, and their order is nothing to it.
        env => {
            let declared: BTreeMap<&OsStr, &OsStr> =
                env.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str())).collect();
            number(&mut hasher, declared.len());
            for (name, value) in declared {
                word(&mut hasher, name.as_bytes());
                word(&mut hasher, value.as_bytes());
            }
        }
    }
    optional(&mut hasher, id.map(str::as_bytes));
    let secrets: BTreeSet<&OsStr> = surroundings.secrets.iter().map(|(name, _)| name.as_os_str()).collect();
    if !secrets.is_empty() {
        words(&mut hasher, secrets.into_iter().map(OsStr::as_bytes).collect::<Vec<_>>().into_iter());
    }
    let mut half = [0; 16];
    hasher.finalize_xof().fill(&mut half);
    Fingerprint(u128::from_be_bytes(half))
}

// Every part says how long it is, so that no two jobs run into the same bytes.

fn number(hasher: &mut Hasher, number: usize) {
    hasher.update(&(number as u64).to_le_bytes());
}

fn word(hasher: &mut Hasher, bytes: &[u8]) {
    number(hasher, bytes.len());
    hasher.update(bytes);
}

fn words<'a>(hasher: &mut Hasher, words: impl ExactSizeIterator<Item = &'a [u8]>) {
    number(hasher, words.len());
    words.for_each(|bytes| word(hasher, bytes));
}

fn optional(hasher: &mut Hasher, bytes: Option<&[u8]>) {
    hasher.update(&[u8::from(bytes.is_some())]);
    word(hasher, bytes.unwrap_or_default());
}
