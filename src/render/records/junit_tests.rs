//! JUnit reports read back by a parser that is not ours, and held to the schema of Jenkins' xUnit plugin.

use std::time::Duration;

use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
use roxmltree::{Document, Node};

use super::{FAILURE_TAIL, Junit, SUCCESS_TAIL, attribute, content};
use crate::model::envelope::ErrorCode;
use crate::render::records::Record;
use crate::render::records::fixture::{Story, attempt, failed_attempt, summary};

/// The whole file.
fn report(stories: Vec<Story>) -> String {
    let mut junit = Junit::new("list");
    let summary = summary(&stories);
    let (mut cases, mut file) = (Vec::new(), Vec::new());
    for story in stories {
        let (ended, envelope) = story.build();
        junit.job(&ended, &envelope, &mut cases);
    }
    junit.head(&summary, &mut file);
    file.append(&mut cases);
    junit.end(&summary, &mut file);
    String::from_utf8(file).unwrap()
}

/// The only case of a report of this job, given to `look`.
fn case<T>(story: Story, look: impl FnOnce(Node<'_, '_>) -> T) -> T {
    let xml = report(vec![story]);
    let document = Document::parse(&xml).unwrap_or_else(|error| panic!("{error}: {xml}"));
    check(&document);
    let case = document.descendants().find(|node| node.has_tag_name("testcase")).unwrap();
    look(case)
}

/// An element, what attributes it must and may have, and what it may hold.
type Row = (&'static str, &'static [&'static str], &'static [&'static str], &'static [&'static str]);

/// Elements, with the attributes that they must and those that they may have, and the elements that they may hold.
const SCHEMA: &[Row] = &[
    ("testsuites", &[], &["name", "time", "tests", "failures", "errors"], &["testsuite"]),
    (
        "testsuite",
        &["name", "tests", "failures", "errors"],
        &["group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url"],
        &["testsuite", "properties", "testcase", "system-out", "system-err"],
    ),
    (
        "testcase",
        &["name"],
        &["time", "classname", "group"],
        &[
            "skipped",
            "error",
            "failure",
            "rerunFailure",
            "rerunError",
            "flakyFailure",
            "flakyError",
            "system-out",
            "system-err",
        ],
    ),
    ("failure", &[], &["type", "message"], &[]),
    ("error", &[], &["type", "message"], &[]),
    ("skipped", &[], &["type", "message"], &[]),
    ("rerunFailure", &["type"], &["message"], &["stackTrace", "system-out", "system-err"]),
    ("rerunError", &["type"], &["message"], &["stackTrace", "system-out", "system-err"]),
    ("flakyFailure", &["type"], &["message"], &["stackTrace", "system-out", "system-err"]),
    ("flakyError", &["type"], &["message"], &["stackTrace", "system-out", "system-err"]),
    ("stackTrace", &[], &[], &[]),
    ("system-out", &[], &[], &[]),
    ("system-err", &[], &[], &[]),
];

/// Fails where the document does not keep to the schema, or its totals are wrong.
fn check(document: &Document<'_>) {
    assert!(document.root_element().has_tag_name("testsuites"));
    for node in document.descendants().filter(Node::is_element) {
        let name = node.tag_name().name();
        let (_, musts, mays, children) = SCHEMA.iter().find(|(known, ..)| *known == name).expect(name);
        for must in *musts {
            assert!(node.has_attribute(*must), "{name} without {must}");
        }
        for found in node.attributes() {
            let found = found.name();
            assert!(musts.contains(&found) || mays.contains(&found), "{name} has {found}");
        }
        for child in node.children().filter(Node::is_element) {
            assert!(children.contains(&child.tag_name().name()), "{name} holds {}", child.tag_name().name());
        }
    }
    let suite = document.descendants().find(|node| node.has_tag_name("testsuite")).unwrap();
    let cases = || suite.children().filter(|node| node.has_tag_name("testcase"));
    let having = |element: &str| {
        cases().filter(|case| case.children().any(|child| child.has_tag_name(element))).count().to_string()
    };
    assert_eq!(suite.attribute("tests"), Some(cases().count().to_string().as_str()));
    for (total, element) in [("failures", "failure"), ("errors", "error"), ("skipped", "skipped")] {
        assert_eq!(suite.attribute(total), Some(having(element).as_str()), "{total}");
    }
}

fn child<'a>(case: Node<'a, 'a>, name: &str) -> Node<'a, 'a> {
    case.children().find(|node| node.has_tag_name(name)).unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn a_report_is_a_suite_with_its_totals_first() {
    assert_eq!(
        report(vec![Story::success(), Story::skipped("job 'a' failed")]),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites name=\"list\" tests=\"2\" failures=\"0\" errors=\"0\" time=\"42.000\">\n\
         <testsuite name=\"list\" tests=\"2\" failures=\"0\" errors=\"0\" skipped=\"1\" time=\"42.000\" \
         timestamp=\"2026-11-23T21:45:30\">\n\
         <testcase classname=\"list\" name=\"one\" time=\"12.340\"/>\n\
         <testcase classname=\"list\" name=\"one #1\" time=\"0.000\">\n\
         <skipped message=\"job 'a' failed\">job 'a' failed</skipped>\n\
         </testcase>\n\
         </testsuite>\n\
         </testsuites>\n"
    );
}

#[test]
fn every_way_to_end_keeps_to_the_schema() {
    let mut retried = Story::timeout().titled("retried");
    retried.attempts = vec![
        failed_attempt(1, 1, 1.0),
        attempt(2, Some(ErrorCode::ServiceUnavailable), 0.5),
        attempt(3, Some(ErrorCode::Timeout), 12.0),
    ];
    let xml = report(vec![
        Story::success(),
        Story::exit(3),
        Story::timeout(),
        Story::cancelled(),
        Story::flaky(),
        Story::not_found(),
        Story::skipped("the batch was stopped"),
        retried,
    ]);
    check(&Document::parse(&xml).unwrap());
    assert!(xml.contains("<testsuite name=\"list\" tests=\"8\" failures=\"3\" errors=\"2\" skipped=\"1\" "));
}

#[test]
fn a_timeout_is_a_failure_of_that_type_with_the_end_of_the_output() {
    let mut story = Story::timeout();
    story.stdout = [b"first\n".repeat(30_000), b"last words\n".to_vec()].concat();
    case(story, |case| {
        let failure = child(case, "failure");
        assert_eq!(failure.attribute("type"), Some("timeout"));
        assert_eq!(failure.attribute("message"), Some("Operation exceeded timeout of 12 seconds"));
        let text = failure.text().unwrap();
        assert!(text.starts_with("Operation exceeded timeout of 12 seconds\ncommand: echo one\nhint: "), "{text}");
        assert!(text.ends_with("first\nlast words") && text.len() < 6000, "{text}");
        let output = child(case, "system-out").text().unwrap();
        assert!(output.starts_with("[... 11"), "{}", &output[..40]);
        assert!(output.ends_with("first\nlast words\n") && output.len() < FAILURE_TAIL + 100);
    });
}

#[test]
fn a_success_keeps_little_of_its_output() {
    let mut story = Story::success();
    story.stderr = b"line\n".repeat(10_000);
    case(story, |case| assert!(child(case, "system-err").text().unwrap().len() < SUCCESS_TAIL + 100));
}

#[test]
fn failures_have_the_error_code_as_their_type() {
    let of = |story, element: &str| case(story, |case| child(case, element).attribute("type").map(str::to_owned));
    assert_eq!(of(Story::exit(3), "failure").as_deref(), Some("COMMAND_FAILED"));
    assert_eq!(of(Story::not_found(), "error").as_deref(), Some("NOT_FOUND"));
    assert_eq!(of(Story::cancelled(), "error").as_deref(), Some("CANCELLED"));
}

#[test]
fn retries_stand_as_surefire_has_them() {
    case(Story::flaky(), |case| {
        assert!(!case.children().any(|child| child.has_tag_name("failure")), "it passed in the end");
        let flaky = child(case, "flakyFailure");
        assert_eq!(flaky.attribute("type"), Some("COMMAND_FAILED"));
        let told = "attempt 1 after 2.000 s: echo one exited with code 1";
        assert_eq!(flaky.attribute("message"), Some(told));
        assert_eq!(flaky.first_element_child().and_then(|trace| trace.text()), Some(told));
    });
    let mut story = Story::exit(3);
    story.attempts = vec![
        failed_attempt(1, 1, 1.0),
        attempt(2, Some(ErrorCode::ServiceUnavailable), 1.0),
        failed_attempt(3, 3, 1.0),
    ];
    case(story, |case| {
        let names: Vec<&str> = case.children().filter(Node::is_element).map(|child| child.tag_name().name()).collect();
        assert_eq!(names, ["failure", "rerunFailure", "rerunError"]);
        assert_eq!(child(case, "failure").attribute("message"), Some("echo one exited with code 3"));
    });
}

#[test]
fn hostile_names_and_output_are_read_back() {
    let title = "a \"b\" 'c' <d> & ]]> \x1b[31mred\x1b[0m \u{fffe}\u{ffff}\0 new\nline\ttab\rend";
    let mut story = Story::exit(1).titled(title);
    story.stdout = b"]]></system-out><evil/>\r\nbar\rbaz\x08\xff\xfe &amp; \xef\xbf\xbe\n".to_vec();
    case(story, |case| {
        assert_eq!(
            case.attribute("name"),
            Some("a \"b\" 'c' <d> & ]]> red \u{fffd}\u{fffd}\u{fffd} new\nline\ttab\rend")
        );
        assert_eq!(
            child(case, "system-out").text(),
            Some("]]></system-out><evil/>\nbar\nbaz\u{fffd}\u{fffd}\u{fffd} &amp; \u{fffd}\n")
        );
    });
}

#[test]
fn no_two_cases_have_one_name() {
    let long = "x".repeat(100_000);
    let titles = ["same #4", &long, &long, "same", "same", "same #5"];
    let stories = titles.iter().zip(1..).map(|(title, seq)| Story { seq, ..Story::success().titled(title) });
    let xml = report(stories.collect());
    let document = Document::parse(&xml).unwrap();
    check(&document);
    let mut names: Vec<&str> = document.descendants().filter_map(|node| node.attribute("name")).skip(2).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 6, "{names:?}");
    assert!(names.iter().all(|name| name.len() < 600));
}

#[test]
fn the_time_of_a_case_is_that_of_all_attempts() {
    let story = Story { lasted: Duration::from_millis(75), ..Story::flaky() };
    case(story, |case| assert_eq!(case.attribute("time"), Some("0.075")));
}

proptest! {
    #[test]
    fn whatever_a_text_holds_the_document_stays_whole(text in r"([\x00-\x7f]|\PC|[\u{80}-\u{9f}\u{fffe}\u{ffff}]){0,60}") {
        let xml = format!("<a b=\"{}\">{}</a>", attribute(&text), content(&text));
        let document = Document::parse(&xml);
        prop_assert!(document.is_ok(), "{xml:?}: {document:?}");
        let document = document.unwrap();
        prop_assert_eq!(document.descendants().filter(Node::is_element).count(), 1);
        prop_assert!(xml.chars().all(super::is_allowed));
    }

    #[test]
    fn a_text_that_xml_can_hold_is_kept(text in r"([ -~\t\n]|[\u{a0}-\u{d7ff}\u{e000}-\u{fffd}\u{1f300}-\u{1f600}]){0,60}") {
        let xml = format!("<a b=\"{}\">{}</a>", attribute(&text), content(&text));
        let document = Document::parse(&xml).unwrap();
        prop_assert_eq!(document.root_element().attribute("b"), Some(text.as_str()));
        prop_assert_eq!(document.root_element().text().unwrap_or_default(), text.as_str());
    }
}
