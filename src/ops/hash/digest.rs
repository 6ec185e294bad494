//! The digest of one open file, as fast as the machine allows.
//!
//! SHA-256 is one chain and needs one thread. BLAKE3 is a tree: the blocks of a long file are read and hashed by one
//! thread per processor, and the results joined as the standard says. The file is read, not mapped: one that is cut
//! short meanwhile must not kill us.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::num::NonZero;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use blake3::Hasher;
use blake3::hazmat::{ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};
use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ops::Failure;

/// What is read at once: small enough to stay in the cache of one core until it is hashed. A power of two, since that is
/// what a tree of blocks needs.
const BLOCK: usize = 256 << 10;
/// More threads than this only fight for the memory.
const THREADS: usize = 16;

/// A digest function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Algorithm {
    #[default]
    Sha256,
    Blake3,
}

impl Algorithm {
    pub(super) const ALL: [Self; 2] = [Self::Sha256, Self::Blake3];

    /// Its name in answers.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Blake3 => "blake3",
        }
    }

    /// Its name in the tagged form of BSD.
    pub(super) fn tag(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA256",
            Self::Blake3 => "BLAKE3",
        }
    }
}

/// Why there is no digest.
#[derive(Debug)]
pub(super) enum Stop {
    /// This file cannot be read.
    Unreadable(io::Error),
    /// The whole operation is over.
    Over(Failure),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}

/// Told of so many more bytes that were hashed; its failure ends the work.
pub(super) type OnBytes<'a> = &'a mut dyn FnMut(u64) -> Result<(), Failure>;

/// The digest of what the file holds from here to its end, in hexadecimal.
pub(super) fn of(algorithm: Algorithm, file: &File, on_bytes: OnBytes<'_>) -> Result<String, Stop> {
    match algorithm {
        Algorithm::Sha256 => {
            let mut hasher = Sha256::new();
            in_a_row(file, on_bytes, |block| hasher.update(block))?;
            Ok(hex(&hasher.finalize()))
        }
        Algorithm::Blake3 => {
            let metadata = file.metadata()?;
            // Standard input may be a file that somebody has read a part of; the blocks are counted from the beginning.
            if metadata.is_file()
                && { file }.stream_position()? == 0
                && metadata.len() > 4 * BLOCK as u64
                && let Some(digest) = in_parallel(file, on_bytes)?
            {
                return Ok(hex(&digest));
            }
            let mut hasher = Hasher::new();
            in_a_row(file, on_bytes, |block| {
                hasher.update(block);
            })?;
            Ok(hex(hasher.finalize().as_bytes()))
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| DIGITS[usize::from(digit)] as char).collect()
}

fn in_a_row(mut file: &File, on_bytes: OnBytes<'_>, mut take: impl FnMut(&[u8])) -> Result<(), Stop> {
    let mut buffer = vec![0; BLOCK];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                take(&buffer[..count]);
                on_bytes(count as u64).map_err(Stop::Over)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// What became of one block.
struct Done {
    index: u64,
    value: ChainingValue,
    bytes: usize,
}

/// The digest by all processors, or none where the file turned out to be too short for that.
fn in_parallel(file: &File, on_bytes: OnBytes<'_>) -> Result<Option<[u8; 32]>, Stop> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(THREADS);
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let mut values: Vec<Option<(ChainingValue, usize)>> = Vec::new();
    thread::scope(|scope| {
        let (done, ended) = channel();
        for _ in 0..threads {
            let done = done.clone();
            let (next, stop) = (&next, &stop);
            thread::Builder::new()
                .name("hash".to_owned())
                .spawn_scoped(scope, move || blocks(file, next, stop, &done))?;
        }
        drop(done);
        let mut result = Ok(());
        for block in ended {
            if result.is_err() {
                continue;
            }
            result = block.map_err(Stop::Unreadable).and_then(|block: Done| {
                let index = usize::try_from(block.index).expect("a file has fewer blocks than memory has bytes");
                if values.len() <= index {
                    values.resize(index + 1, None);
                }
                values[index] = Some((block.value, block.bytes));
                on_bytes(block.bytes as u64).map_err(Stop::Over)
            });
            if result.is_err() {
                stop.store(true, Ordering::Relaxed);
            }
        }
        result
    })?;
    // Where the file grew while it was read, it ended before at the first hole, or in the first block that is not full:
    // what another thread found behind that belongs to no file that ever was.
    let mut whole = Vec::with_capacity(values.len());
    for (value, bytes) in values.into_iter().map_while(|value| value) {
        whole.push(value);
        if bytes < BLOCK {
            break;
        }
    }
    Ok((whole.len() > 1).then(|| {
        let (left, right) = halves(&whole);
        *merge_subtrees_root(&joined(left), &joined(right), Mode::Hash).as_bytes()
    }))
}

/// Hashes one block after another, until there is none.
fn blocks(file: &File, next: &AtomicU64, stop: &AtomicBool, done: &Sender<io::Result<Done>>) {
    let mut buffer = vec![0; BLOCK];
    while !stop.load(Ordering::Relaxed) {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let offset = index * BLOCK as u64;
        let block = read_block(file, &mut buffer, offset).map(|bytes| {
            let mut hasher = Hasher::new();
            hasher.set_input_offset(offset).update(&buffer[..bytes]);
            (bytes > 0).then(|| Done { index, value: hasher.finalize_non_root(), bytes })
        });
        let last = !matches!(&block, Ok(Some(block)) if block.bytes == BLOCK);
        if let Some(block) = block.transpose() {
            let _ = done.send(block);
        }
        if last {
            return;
        }
    }
}

/// Fills the buffer from there, or up to the end of the file.
fn read_block(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The left side of a tree is the largest complete one that leaves something for the right side.
fn halves(values: &[ChainingValue]) -> (&[ChainingValue], &[ChainingValue]) {
    values.split_at(values.len().next_power_of_two() / 2)
}

fn joined(values: &[ChainingValue]) -> ChainingValue {
    match values {
        [one] => *one,
        many => {
            let (left, right) = halves(many);
            merge_subtrees_non_root(&joined(left), &joined(right), Mode::Hash)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::{Algorithm, BLOCK, Stop, of};
    use crate::ops::Failure;

    #[test]
    fn a_tree_of_blocks_has_the_digest_of_the_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for length in [0, 1, BLOCK, 4 * BLOCK, 4 * BLOCK + 1, 5 * BLOCK, 7 * BLOCK + 13, 8 * BLOCK, 9 * BLOCK - 1] {
            let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            fs::write(&path, &bytes).unwrap();
            let mut told = 0;
            let digest = of(Algorithm::Blake3, &File::open(&path).unwrap(), &mut |count| {
                told += count;
                Ok(())
            });
            assert_eq!(digest.unwrap(), blake3::hash(&bytes).to_string(), "{length} bytes");
            assert_eq!(told, length as u64);
        }
    }

    #[test]
    fn whoever_is_told_can_end_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, vec![0; 64 * BLOCK]).unwrap();
        for algorithm in Algorithm::ALL {
            let mut calls = 0;
            let stopped = of(algorithm, &File::open(&path).unwrap(), &mut |_| {
                calls += 1;
                if calls == 3 { Err(Failure::Cancelled) } else { Ok(()) }
            });
            assert!(matches!(stopped, Err(Stop::Over(Failure::Cancelled))));
            assert_eq!(calls, 3);
        }
    }
}
