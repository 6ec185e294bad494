//! Service messages of TeamCity: each job is a test, with its output, its time and why it failed.
//!
//! TeamCity reads them from the standard output of a build step only. A test stands between its start and its end, and
//! so does its output, where it comes out as a whole.

use std::fmt::Write as _;

use crate::model::batch::{Ended, Verdict};
use crate::model::envelope::Envelope;
use crate::render::records::{CiLog, Frame, story};

const NAME_LIMIT: usize = 512;
const MESSAGE_LIMIT: usize = 2000;
/// Of output that is not between the messages, so much of the end is told in one.
const OUTPUT_LIMIT: usize = 16 * 1024;

/// Tests in the build's results.
#[derive(Clone, Copy, Debug)]
pub(super) struct Teamcity;

impl CiLog for Teamcity {
    fn around_job(&mut self, ended: &Ended, envelope: &Envelope, whole: bool) -> Frame {
        let name = escaped(&story::shortened(&ended.title, NAME_LIMIT));
        let mut after = String::new();
        let cause = story::cause(ended, envelope);
        let message = escaped(&story::shortened(&cause, MESSAGE_LIMIT));
        if ended.verdict == Verdict::Skipped {
            // A test that is ignored needs no start.
            let _ = writeln!(after, "##teamcity[testIgnored name='{name}' message='{message}']");
            return Frame { before: Vec::new(), after: after.into_bytes() };
        }
        let before = format!("##teamcity[testStarted name='{name}' captureStandardOutput='{whole}']\n");
        if !whole && let Some(output) = story::output(envelope) {
            for (kind, text) in [("testStdOut", &output.stdout), ("testStdErr", &output.stderr)] {
                let (tail, _) = story::tail(text, OUTPUT_LIMIT);
                if !tail.is_empty() {
                    let _ = writeln!(after, "##teamcity[{kind} name='{name}' out='{}']", escaped(tail));
                }
            }
        }
        if !ended.verdict.is_success() {
            let error = story::error(ended, envelope);
            let details = error.map(|error| format!("{}: {}", story::code_name(error.code), error.remediation));
            let details = escaped(&details.unwrap_or_default());
            let _ = writeln!(after, "##teamcity[testFailed name='{name}' message='{message}' details='{details}']");
        }
        let millis = ended.duration().as_millis();
        let _ = writeln!(after, "##teamcity[testFinished name='{name}' duration='{millis}']");
        Frame { before: before.into_bytes(), after: after.into_bytes() }
    }
}

/// A value between apostrophes. What is not ASCII is a reference for each of its UTF-16 units.
fn escaped(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\'' | '|' | '[' | ']' => {
                value.push('|');
                value.push(c);
            }
            '\n' => value.push_str("|n"),
            '\r' => value.push_str("|r"),
            '\t' => value.push('\t'),
            ' '..='~' => value.push(c),
            // The rest of what XML cannot hold would break the results that are made of it.
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => value.push_str("|0xFFFD"),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(value, "|0x{unit:04X}");
                }
            }
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::{Teamcity, escaped};
    use crate::render::records::CiLog;
    use crate::render::records::fixture::Story;

    fn around(story: Story, whole: bool) -> [String; 2] {
        let (ended, envelope) = story.build();
        let frame = Teamcity.around_job(&ended, &envelope, whole);
        [frame.before, frame.after].map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn a_job_is_a_test_around_its_output() {
        assert_eq!(
            around(Story::success(), true),
            [
                "##teamcity[testStarted name='one' captureStandardOutput='true']\n",
                "##teamcity[testFinished name='one' duration='12340']\n"
            ]
        );
        assert_eq!(
            around(Story::exit(3), true)[1],
            "##teamcity[testFailed name='one' message='echo one exited with code 3' \
             details='COMMAND_FAILED: See the output of the command for the reason']\n\
             ##teamcity[testFinished name='one' duration='12340']\n"
        );
        assert_eq!(
            around(Story::skipped("job 'a' failed"), true),
            ["", "##teamcity[testIgnored name='one' message='job |'a|' failed']\n"]
        );
    }

    #[test]
    fn output_that_went_by_is_told_in_a_message() {
        let mut story = Story::success();
        story.stderr = b"[x]\n".to_vec();
        let [before, after] = around(story, false);
        assert_eq!(before, "##teamcity[testStarted name='one' captureStandardOutput='false']\n");
        assert_eq!(
            after,
            "##teamcity[testStdErr name='one' out='|[x|]|n']\n##teamcity[testFinished name='one' duration='12340']\n"
        );
    }

    #[test]
    fn values_are_escaped() {
        assert_eq!(escaped("a'b|c[d]e\nf\rg"), "a|'b||c|[d|]e|nf|rg");
        assert_eq!(escaped("ü\u{1f600}"), "|0x00FC|0xD83D|0xDE00");
        assert_eq!(escaped("\x1b\0\u{85}\u{ffff}"), "|0xFFFD|0xFFFD|0xFFFD|0xFFFD");
    }

    proptest! {
        #[test]
        fn a_value_never_ends_early(text in r"(\PC|\||'|\[|\]|[\x00-\x1f]){0,40}") {
            let value = escaped(&text);
            prop_assert!(value.is_ascii());
            let mut bytes = value.bytes();
            while let Some(byte) = bytes.next() {
                match byte {
                    b'|' => prop_assert!(bytes.next().is_some_and(|next| b"'nr|[]0".contains(&next))),
                    _ => prop_assert!(!b"'[]\r\n".contains(&byte)),
                }
            }
        }
    }
}
