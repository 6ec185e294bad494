//! What comes out of the outputs of several jobs, byte for byte, and what a slow, gone or full reader changes.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::thread;

use super::{BACKLOG, Delivered, Deliverer, Delivery};
use crate::app::port::Port;
use crate::model::outcome::{Spool, StreamRecord};
use crate::model::request::{Grouping, OutputForm};
use crate::platform::{descriptors, files};

/// Stays open as long as the tests run.
fn for_ever(descriptor: impl Into<OwnedFd>) -> BorrowedFd<'static> {
    let descriptor: &'static OwnedFd = Box::leak(Box::new(descriptor.into()));
    descriptor.as_fd()
}

/// Two files for our streams, and who writes there.
fn to_files(form: OutputForm, json: bool) -> (Deliverer, [File; 2]) {
    let files = [files::temporary().unwrap(), files::temporary().unwrap()];
    let ports = files.each_ref().map(|file| Port::to(for_ever(file.try_clone().unwrap()), None));
    (Deliverer::to(ports, false, form, json, None).unwrap(), files)
}

/// A pipe for stdout, and who writes there.
fn to_pipe(form: OutputForm) -> (Deliverer, File) {
    let (read, write) = descriptors::pipe().unwrap();
    rustix::io::ioctl_fionbio(&read, false).unwrap();
    let port = Port::to(for_ever(write), None);
    (Deliverer::to([port.clone(), port], true, form, false, None).unwrap(), read.into())
}

fn content(file: &File) -> String {
    let mut content = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
    file.read_exact_at(&mut content, 0).unwrap();
    String::from_utf8(content).unwrap()
}

fn record(bytes: &[u8]) -> StreamRecord {
    let (head, tail) = bytes.split_at(bytes.len() / 4);
    StreamRecord { head: head.to_vec(), tail: tail.to_vec(), total: bytes.len() as u64, ..StreamRecord::default() }
}

fn job(seq: u64, stdout: &str, stderr: &str) -> Delivery {
    Delivery {
        seq,
        label: format!("job {seq}"),
        outputs: vec![(record(stdout.as_bytes()), record(stderr.as_bytes()))],
        envelope: Some(format!("{{\"seq\":{seq}}}").into_bytes()),
    }
}

const KEEP_ORDER: OutputForm = OutputForm { keep_order: true, ..PLAIN };
const PLAIN: OutputForm = OutputForm { grouping: Grouping::Job, keep_order: false, tag: false, silent: false };

fn what_came(form: OutputForm, json: bool, jobs: &[(u64, &str, &str)]) -> [String; 2] {
    let (deliverer, files) = to_files(form, json);
    jobs.iter().for_each(|(seq, stdout, stderr)| deliverer.deliver(job(*seq, stdout, stderr)));
    assert_eq!(deliverer.finish(false), Delivered::default());
    files.each_ref().map(content)
}

#[test]
fn outputs_come_as_jobs_end_and_unchanged() {
    let jobs = [(2, "b\nB", "err b"), (1, "a\n\0", "")];
    assert_eq!(what_came(PLAIN, false, &jobs), ["b\nBa\n\0", "err b"]);
}

#[test]
fn outputs_come_in_the_order_of_the_list() {
    let (deliverer, files) = to_files(KEEP_ORDER, false);
    for seq in [3, 4, 6] {
        deliverer.deliver(job(seq, &format!("{seq}\n"), ""));
    }
    deliverer.pass_over(2);
    deliverer.deliver(job(5, "", ""));
    deliverer.deliver(job(1, "1\n", ""));
    assert_eq!(deliverer.finish(false), Delivered::default());
    assert_eq!(content(&files[0]), "1\n3\n4\n6\n");
}

/// As where the batch was stopped before the first of them came to its end.
#[test]
fn what_waits_for_a_job_that_never_came_is_written_at_the_end() {
    assert_eq!(what_came(KEEP_ORDER, false, &[(9, "9", ""), (4, "4", "e")]), ["49", "e"]);
}

#[test]
fn each_line_gets_the_label_of_its_job() {
    let form = OutputForm { tag: true, ..PLAIN };
    let jobs = [(1, "a\n\nb", "e"), (2, "c\n", "")];
    assert_eq!(what_came(form, false, &jobs), ["job 1\ta\njob 1\t\njob 1\tb\njob 2\tc\n", "job 1\te\n"]);
}

#[test]
fn envelopes_come_one_a_line_and_alone() {
    let jobs = [(2, "b", "e"), (1, "", "")];
    assert_eq!(what_came(PLAIN, true, &jobs), ["{\"seq\":2}\n{\"seq\":1}\n", ""]);
    assert_eq!(what_came(KEEP_ORDER, true, &jobs), ["{\"seq\":1}\n{\"seq\":2}\n", ""]);
    let silent = OutputForm { silent: true, tag: true, ..PLAIN };
    assert_eq!(what_came(silent, true, &jobs), ["{\"seq\":2}\n{\"seq\":1}\n", ""]);
}

#[test]
fn silence_is_silence() {
    assert_eq!(what_came(OutputForm { silent: true, ..PLAIN }, false, &[(1, "a", "b")]), ["", ""]);
    assert_eq!(what_came(OutputForm { grouping: Grouping::Line, ..PLAIN }, false, &[(1, "a", "b")]), ["", ""]);
}

/// Far more than memory holds of it, in three ways: as it comes, held in order, with labels.
#[test]
fn a_hundred_megabytes_come_out_as_they_went_in() {
    const BLOCK: usize = 1 << 20;
    let block = |number: usize| -> Vec<u8> {
        let mut block = format!("{number:08}\n").into_bytes();
        block.resize(BLOCK, u8::try_from(number).unwrap());
        block[BLOCK - 1] = b'\n';
        block
    };
    let mut file = files::temporary().unwrap();
    (0..100).for_each(|number| file.write_all(&block(number)).unwrap());
    let spool = Some(Spool(Arc::new(file)));
    let big = |seq| Delivery {
        seq,
        label: "l".to_owned(),
        outputs: vec![(
            StreamRecord { spool: spool.clone(), total: 100 << 20, ..StreamRecord::default() },
            StreamRecord::default(),
        )],
        envelope: None,
    };
    for (form, first) in [(PLAIN, 1), (KEEP_ORDER, 2), (OutputForm { tag: true, ..PLAIN }, 1)] {
        let (deliverer, mut read) = to_pipe(form);
        deliverer.deliver(big(first));
        deliverer.pass_over(1);
        let reader = thread::spawn(move || {
            let mut taken = vec![0; BLOCK];
            for number in 0..100 {
                let expected = block(number);
                if form.tag {
                    // Two lines a block, a label before each; a number that is a line feed makes many more.
                    if number == 10 {
                        return;
                    }
                    let mut label = [0; 2];
                    for part in [&expected[..9], &expected[9..]] {
                        read.read_exact(&mut label).unwrap();
                        assert_eq!(&label, b"l\t");
                        read.read_exact(&mut taken[..part.len()]).unwrap();
                        assert!(taken[..part.len()] == *part);
                    }
                } else {
                    read.read_exact(&mut taken).unwrap();
                    assert!(taken == expected, "block {number}");
                }
            }
        });
        if form.tag {
            reader.join().unwrap();
            assert!(deliverer.finish(false).reader_gone);
        } else {
            assert_eq!(deliverer.finish(false), Delivered::default());
            reader.join().unwrap();
        }
    }
}

#[test]
fn a_reader_that_is_gone_is_told_and_costs_nothing_else() {
    let (deliverer, read) = to_pipe(PLAIN);
    drop(read);
    let gauge = deliverer.gauge();
    deliverer.deliver(job(1, "a", ""));
    deliverer.deliver(job(2, "b", ""));
    let expected = Delivered { reader_gone: true, ..Delivered::default() };
    assert_eq!((deliverer.finish(false), gauge.reader_gone()), (expected, true));
}

#[test]
fn after_a_stop_a_reader_that_takes_nothing_is_given_up() {
    let (deliverer, mut read) = to_pipe(PLAIN);
    deliverer.deliver(job(1, &"x".repeat(100_000), ""));
    let delivered = deliverer.finish(true);
    assert_eq!((delivered.failure, delivered.reader_gone), (None, false));
    assert!((100_000 - 65_536..=100_000).contains(&delivered.undelivered), "{}", delivered.undelivered);
    let mut taken = [0; 1000];
    read.read_exact(&mut taken).unwrap();
    assert_eq!(taken, [b'x'; 1000]);
}

#[test]
fn a_full_disk_is_told_and_the_other_stream_goes_on() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let file = files::temporary().unwrap();
    let ports = [Port::to(for_ever(full), None), Port::to(for_ever(file.try_clone().unwrap()), None)];
    let deliverer = Deliverer::to(ports, false, PLAIN, false, None).unwrap();
    deliverer.deliver(job(1, "a", "err"));
    deliverer.deliver(job(2, "b", "or"));
    let delivered = deliverer.finish(false);
    assert_eq!(delivered.failure.as_deref(), Some("cannot write to stdout: No space left on device"));
    assert_eq!(content(&file), "error");
}

#[test]
fn what_a_slow_reader_left_holds_new_jobs_back() {
    let (deliverer, mut read) = to_pipe(PLAIN);
    let gauge = deliverer.gauge();
    let length = BACKLOG / 8;
    let text = "x".repeat(length);
    for seq in 1..=8 {
        assert!(!gauge.is_full());
        deliverer.deliver(job(seq, &text, ""));
    }
    assert!(gauge.is_full() && deliverer.backlog() >= BACKLOG);
    let mut taken = vec![0; length];
    read.read_exact(&mut taken).unwrap();
    read.read_exact(&mut taken).unwrap();
    while gauge.is_full() {
        thread::yield_now();
    }
    drop(read);
    deliverer.finish(false);
}
