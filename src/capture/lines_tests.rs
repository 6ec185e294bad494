//! What the lines of several jobs look like once they are written, and who waits for whom.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::proptest;

use super::{Form, LONGEST, Lane, State, Target};
use crate::platform::descriptors::Moved;
use crate::platform::doorbell::Doorbell;

/// A reader that takes everything at once.
struct Desk {
    target: Arc<Target>,
    written: Arc<Mutex<Vec<u8>>>,
    doorbell: Arc<Doorbell>,
}

impl Desk {
    fn new() -> Self {
        let written = Arc::new(Mutex::new(Vec::new()));
        let theirs = Arc::clone(&written);
        let target = Target::start(move |bytes| {
            theirs.lock().unwrap().extend_from_slice(bytes);
            Ok(Moved::Bytes(bytes.len()))
        });
        Self { target: target.unwrap(), written, doorbell: Arc::new(Doorbell::new().unwrap()) }
    }

    fn lane(&self, label: Option<&str>) -> Lane {
        Lane::new(&self.target, Form::labelled(label), &self.doorbell)
    }

    fn wait_for(&self, condition: impl Fn() -> bool) {
        while !condition() {
            self.doorbell.await_ring(Duration::from_millis(5));
            self.doorbell.clear();
        }
    }

    fn settle(&self, lane: &Lane) {
        self.wait_for(|| lane.is_clear());
    }

    fn written(&self) -> Vec<u8> {
        self.written.lock().unwrap().clone()
    }

    fn text(&self) -> String {
        String::from_utf8(self.written()).unwrap()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.target.queue().closed = true;
        self.target.arrived.notify_all();
    }
}

#[test]
fn each_line_has_its_label_and_the_last_one_its_end() {
    let desk = Desk::new();
    let mut lane = desk.lane(Some("one"));
    for bytes in ["a\nb", "c\n\nd", "", "e"] {
        lane.put(bytes.as_bytes());
    }
    desk.settle(&lane);
    assert_eq!((desk.text().as_str(), lane.unwritten()), ("one\ta\none\tbc\none\t\n", 2));
    lane.end();
    lane.end();
    desk.settle(&lane);
    assert_eq!((desk.text().as_str(), lane.unwritten()), ("one\ta\none\tbc\none\t\none\tde\n", 0));
}

#[test]
fn without_a_label_lines_are_as_they_were() {
    let desk = Desk::new();
    let mut lane = desk.lane(None);
    lane.put(b"\xff\0a\r\nb\n");
    lane.end();
    desk.settle(&lane);
    assert_eq!(desk.written(), b"\xff\0a\r\nb\n");
}

#[test]
fn a_label_never_spoils_the_line() {
    let Form::Lines(label) = Form::labelled(Some("a\nb\x1b[m\té")) else { panic!("lines") };
    assert_eq!(String::from_utf8(label).unwrap(), "a\\nb\\u{1b}[m\\té\t");
}

#[test]
fn bytes_pass_as_they_are() {
    let desk = Desk::new();
    let mut lane = Lane::new(&desk.target, Form::Bytes, &desk.doorbell);
    lane.put(b"half a li");
    lane.put(b"ne");
    lane.end();
    desk.settle(&lane);
    assert_eq!(desk.written(), b"half a line");
}

#[test]
fn nothing_comes_between_the_pieces_of_a_long_line() {
    let desk = Desk::new();
    let (mut long, mut other) = (desk.lane(Some("long")), desk.lane(Some("other")));
    long.put(&[b'x'; LONGEST]);
    assert_eq!(long.unwritten(), LONGEST as u64, "it may be whole soon");
    long.put(b"yy");
    desk.settle(&long);
    assert_eq!(desk.written().len(), 5 + LONGEST + 2);
    other.put(b"line\n");
    long.put(b"zz");
    long.put(b"\nnext");
    desk.settle(&other);
    long.end();
    desk.settle(&long);
    let text = desk.text().replace(&"x".repeat(LONGEST), "X");
    assert_eq!(text, "long\tXyyzz\nother\tline\nlong\tnext\n");
}

#[test]
fn a_long_line_that_stays_unfinished_keeps_nobody_waiting_for_long() {
    let desk = Desk::new();
    let (mut long, mut other) = (desk.lane(Some("long")), desk.lane(Some("other")));
    long.put(&[b'x'; LONGEST + 1]);
    desk.settle(&long);
    other.put(b"line\n");
    desk.settle(&other);
    long.put(b"rest");
    long.end();
    desk.settle(&long);
    let text = desk.text().replace(&"x".repeat(LONGEST + 1), "X");
    assert_eq!(text, "long\tX\nother\tline\nlong\trest\n");
}

#[test]
fn what_was_given_up_is_not_written_and_ends_its_line() {
    let desk = Desk::new();
    let (mut long, mut other) = (desk.lane(None), desk.lane(None));
    long.put(&[b'x'; LONGEST + 1]);
    desk.settle(&long);
    drop(long);
    other.put(b"line\n");
    desk.settle(&other);
    assert_eq!(desk.text().replace(&"x".repeat(LONGEST + 1), "X"), "X\nline\n");
}

/// A reader that takes something each time it is told to.
fn slow_target() -> (Arc<Target>, Sender<()>, Receiver<usize>) {
    let (turns, turn) = channel();
    let (taken, seen) = channel();
    let target = Target::start(move |bytes| {
        let _ = taken.send(bytes.len());
        let _ = turn.recv();
        Ok(Moved::Bytes(bytes.len()))
    });
    (target.unwrap(), turns, seen)
}

#[test]
fn a_slow_reader_stops_the_job_and_the_bell_rings_when_there_is_room() {
    let (target, turns, seen) = slow_target();
    let doorbell = Arc::new(Doorbell::new().unwrap());
    let mut lane = Lane::new(&target, Form::labelled(None), &doorbell);
    let mut other = Lane::new(&target, Form::labelled(None), &doorbell);
    lane.put(&[b'\n'; LONGEST]);
    assert!(!lane.has_room());
    assert_eq!(seen.recv().unwrap(), LONGEST);
    assert!(other.has_room(), "one job alone does not stop the others");
    other.put(b"line\n");
    drop(turns);
    while !lane.has_room() || !other.is_clear() {
        doorbell.await_ring(Duration::from_millis(900));
        doorbell.clear();
    }
    assert_eq!(lane.unwritten() + other.unwritten(), 0);
}

#[test]
fn all_jobs_together_hold_no_more_than_a_limit() {
    let (target, turns, _seen) = slow_target();
    let doorbell = Arc::new(Doorbell::new().unwrap());
    let mut lanes: Vec<Lane> = (0..1000).map(|_| Lane::new(&target, Form::labelled(None), &doorbell)).collect();
    let mut put = 0;
    let full = lanes.iter_mut().position(|lane| {
        let room = lane.has_room();
        if room {
            lane.put(&[b'\n'; 16 * 1024]);
            put += 16 * 1024;
        }
        !room
    });
    let last = &lanes[full.expect("a limit")];
    assert_eq!(put, super::CROWD);
    drop(turns);
    while !last.has_room() {
        doorbell.await_ring(Duration::from_millis(900));
        doorbell.clear();
    }
}

#[test]
fn a_reader_that_is_gone_is_seen_by_all() {
    let target = Target::start(|_| Ok(Moved::Broken)).unwrap();
    let doorbell = Arc::new(Doorbell::new().unwrap());
    let mut lane = Lane::new(&target, Form::labelled(None), &doorbell);
    let other = Lane::new(&target, Form::labelled(None), &doorbell);
    lane.put(b"line\n");
    while !lane.is_clear() {
        doorbell.await_ring(Duration::from_millis(5));
        doorbell.clear();
    }
    assert_eq!((lane.failure(), other.failure()), (Some(State::Broken), Some(State::Broken)));
}

proptest! {
    /// However the bytes come, each job's lines come whole and in their order.
    #[test]
    fn lines_are_never_torn(
        streams in proptest::collection::vec(proptest::collection::vec("[a-c\n]{0,6}", 0..20), 1..5),
    ) {
        let desk = Desk::new();
        let mut lanes: Vec<Lane> = (0..streams.len()).map(|index| desk.lane(Some(&index.to_string()))).collect();
        for turn in 0..20 {
            for (lane, stream) in lanes.iter_mut().zip(&streams) {
                lane.put(stream.get(turn).map(String::as_str).unwrap_or_default().as_bytes());
            }
        }
        lanes.iter_mut().for_each(Lane::end);
        lanes.iter().for_each(|lane| desk.settle(lane));
        let text = desk.text();
        for (index, stream) in streams.iter().enumerate() {
            let label = format!("{index}\t");
            let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix(&label)).collect();
            let whole = stream.concat();
            assert_eq!(lines, whole.lines().collect::<Vec<_>>());
        }
    }
}
