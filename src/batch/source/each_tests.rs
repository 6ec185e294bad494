//! Commands made of items: which arguments a job gets, and that an item is never anything but its own bytes.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};
use tempfile::TempDir;

use super::source_tests::{all, defaults, words};
use super::{Source, open};
use crate::error::Result;
use crate::model::job::{Command, Stdin};
use crate::model::request::{ItemInput, JobList, Template, TemplateCommand};

fn os(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

fn listed(items: &[&str]) -> ItemInput {
    ItemInput::Words(os(items))
}

fn template(words: &[&str], items: &[&str]) -> Template {
    of_inputs(words, vec![listed(items)])
}

fn of_inputs(words: &[&str], inputs: Vec<ItemInput>) -> Template {
    let command = TemplateCommand::Argv(os(words));
    Template { command, inputs, link: false, null_separated: false, items_per_job: 1, replacement: None }
}

fn shell(line: &str, items: &[&str]) -> Template {
    let command = TemplateCommand::Shell { shell: "sh".into(), line: line.into() };
    Template { command, ..template(&[], items) }
}

fn opened(template: Template) -> Result<Source> {
    open(&JobList::Items(template), &defaults())
}

/// The command of each job, on one line.
fn lines(template: Template) -> Vec<String> {
    all(opened(template).expect("a template")).iter().map(|entry| words(entry).join("|")).collect()
}

fn file(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("items");
    std::fs::write(&path, bytes).expect("a file");
    (folder, path)
}

#[test]
fn placeholders_stand_for_parts_of_the_item() {
    assert_eq!(
        lines(template(
            &["convert", "{}", "-o", "{//}/small-{/.}.png", "{#}:{.}{foo}{{.N}}"],
            &["a b/c d.jpg", "-x.jpg"]
        )),
        [
            "convert|a b/c d.jpg|-o|a b/small-c d.png|1:a b/c d{foo}{{.N}}",
            "convert|-x.jpg|-o|./small--x.png|2:-x{foo}{{.N}}"
        ]
    );
    assert_eq!(lines(template(&["{}", "{/}"], &["/bin/true"])), ["/bin/true|true"]);
}

#[test]
fn without_a_placeholder_the_item_is_appended() {
    assert_eq!(lines(template(&["gzip", "-9"], &["$(id)", "", "; rm"])), ["gzip|-9|$(id)", "gzip|-9|", "gzip|-9|; rm"]);
    assert_eq!(lines(template(&["echo", "{foo}"], &["a"])), ["echo|{foo}|a"]);
    assert_eq!(lines(template(&["echo", "{#}"], &["a", "b"])), ["echo|1", "echo|2"]);
}

#[test]
fn several_items_go_to_one_job() {
    let of = |words: &[&str], items_per_job| {
        lines(Template { items_per_job, ..template(words, &["a.x", "b.x", "c.x", "d.x", "e.x"]) })
    };
    assert_eq!(of(&["rm"], 2), ["rm|a.x|b.x", "rm|c.x|d.x", "rm|e.x"]);
    assert_eq!(of(&["rm", "{.}", "[{}]"], 3), ["rm|a|b|c|[a.x b.x c.x]", "rm|d|e|[d.x e.x]"]);
    assert_eq!(of(&["mv", "{1}", "{2.}", "({2})"], 2), ["mv|a.x|b|(b.x)", "mv|c.x|d|(d.x)", "mv|e.x|()"]);
    assert_eq!(of(&["{2}"], 2), ["b.x", "d.x", ""]);
}

#[test]
fn several_inputs_are_combined_and_the_last_is_the_fastest() {
    let inputs = || vec![listed(&["a", "b"]), listed(&["1", "2", "3"]), listed(&["x"])];
    assert_eq!(
        lines(of_inputs(&["e", "{1}-{2}-{3}"], inputs())),
        ["e|a-1-x", "e|a-2-x", "e|a-3-x", "e|b-1-x", "e|b-2-x", "e|b-3-x"]
    );
    assert_eq!(lines(of_inputs(&["e"], inputs()))[1], "e|a|2|x");
    assert_eq!(lines(of_inputs(&["e", "<{}>"], inputs()))[1], "e|<a 2 x>");
    let grouped = Template { items_per_job: 4, ..of_inputs(&["e", "{4}", "{12}"], inputs()) };
    // The combinations of a job stand side by side.
    assert_eq!(lines(grouped), ["e|a|x", "e|b"]);
    assert!(lines(of_inputs(&["e"], vec![listed(&["a"]), listed(&[])])).is_empty());
    assert!(lines(of_inputs(&["e"], vec![listed(&[]), listed(&["a"])])).is_empty());
}

#[test]
fn linked_inputs_go_side_by_side_and_shorter_ones_begin_again() {
    let linked = |first: &[&str], second: &[&str]| {
        lines(Template { link: true, ..of_inputs(&["e", "{1}{2}"], vec![listed(first), listed(second)]) })
    };
    assert_eq!(linked(&["a", "b"], &["1", "2", "3", "4", "5"]), ["e|a1", "e|b2", "e|a3", "e|b4", "e|a5"]);
    assert_eq!(linked(&["a", "b", "c"], &["1", "2"]), ["e|a1", "e|b2", "e|c1"]);
    assert_eq!(linked(&["a"], &["1"]), ["e|a1"]);
    assert!(linked(&[], &["1"]).is_empty());
    assert!(linked(&["a"], &[]).is_empty());
}

#[test]
fn the_number_of_jobs_of_words_is_known() {
    let count = |template: Template| opened(template).expect("a template").count();
    assert_eq!(count(template(&["e"], &["a", "b", "c"])), Some(3));
    assert_eq!(count(Template { items_per_job: 2, ..template(&["e"], &["a", "b", "c"]) }), Some(2));
    let inputs = || vec![listed(&["a", "b"]), listed(&["1", "2", "3"])];
    assert_eq!(count(of_inputs(&["e"], inputs())), Some(6));
    assert_eq!(count(Template { link: true, ..of_inputs(&["e"], inputs()) }), Some(3));
    let (_folder, path) = file(b"1\n2\n");
    assert_eq!(count(of_inputs(&["e"], vec![listed(&["a", "b"]), ItemInput::File(path.clone())])), Some(4));
    assert_eq!(count(of_inputs(&["e"], vec![ItemInput::File(path)])), None);
}

#[test]
fn items_of_a_file_are_its_lines() {
    let (_folder, path) = file(b"a b\n\n  c \r\n\xFF\xFE\nlast");
    let inputs = || vec![ItemInput::File(path.clone())];
    let items = |template: Template| -> Vec<Vec<u8>> {
        let entries = all(opened(template).expect("a template"));
        entries.iter().map(|entry| entry.job.command.argv()[1].as_bytes().to_vec()).collect()
    };
    assert_eq!(items(of_inputs(&["e"], inputs())), [&b"a b"[..], b"  c \r", b"\xFF\xFE", b"last"]);
    // Behind an empty line no partner moves up.
    let pairs = Template { link: true, ..of_inputs(&["e", "{1}{2}"], [inputs(), inputs()].concat()) };
    assert_eq!(items(pairs)[..2], [&b"a ba b"[..], b""]);
    let (_folder, path) = file(b"a\nb\0\0c\0");
    let zero = |null_separated| Template { null_separated, ..of_inputs(&["e"], vec![ItemInput::File(path.clone())]) };
    assert_eq!(items(zero(true)), [&b"a\nb"[..], b"", b"c"]);
    let mut source = opened(zero(false)).expect("a template");
    assert!(source.next().expect("a job").is_some());
    let error = source.next().expect_err("a NUL");
    assert!(error.to_string().ends_with("items line 2: the item holds a NUL"), "{error}");
    assert_eq!(error.remediation(), "Give -0 where the items end with a NUL, as those of find -print0");
}

#[test]
fn a_label_is_the_item_cut_to_what_can_be_shown() {
    let labels = |items: &[&str]| -> Vec<String> {
        all(opened(template(&["e"], items)).expect("a template")).into_iter().map(|entry| entry.label).collect()
    };
    assert_eq!(labels(&["a b", "x\ny\t", "ü"]), ["a b", "x\ny\t", "ü"]);
    assert_eq!(labels(&[&"x".repeat(5000)]), [format!("{}...", "x".repeat(100))]);
}

#[test]
fn what_cannot_work_is_refused_before_the_first_job() {
    let error = |template: Template| opened(template).expect_err("wrong").to_string();
    assert_eq!(error(template(&[], &["a"])), "there is no command for the items");
    assert_eq!(
        error(of_inputs(&["e"], vec![ItemInput::Stdin, ItemInput::Stdin])),
        "standard input is named more than once as an input of items"
    );
    assert_eq!(
        error(of_inputs(&["e"], vec![ItemInput::File("/nonexistent".into())])),
        "cannot read /nonexistent: No such file or directory"
    );
    let mut own = defaults();
    own.job.log = Some("logs/{id}".into());
    let told = open(&JobList::Items(template(&["x"], &["a"])), &own).expect_err("no ids").to_string();
    assert_eq!(told, "--log logs/{id} names an id, and jobs made of items have none");
    own.job.log = Some("logs/{#}".into());
    let entries = all(open(&JobList::Items(template(&["x"], &["a", "b"])), &own).expect("a template"));
    assert_eq!(entries[1].job.log, Some("logs/2".into()));
    own.job.surroundings.stdin = Stdin::Inherit;
    let told = open(&JobList::Items(of_inputs(&["x"], vec![ItemInput::Stdin])), &own).expect_err("shared").to_string();
    assert_eq!(told, "the jobs cannot inherit standard input, which is read for the batch itself");
}

#[test]
fn equal_items_have_equal_fingerprints_and_others_other_ones() {
    let entries = all(opened(template(&["e"], &["a", "b", "a"])).expect("a template"));
    assert_eq!(entries[0].fingerprint, entries[2].fingerprint);
    assert_ne!(entries[0].fingerprint, entries[1].fingerprint);
}

/// The line that a shell gets, and its parameters after `$0`.
fn rewritten(line: &str, items_per_job: usize, items: &[&str]) -> (String, Vec<String>) {
    let entry = all(opened(Template { items_per_job, ..shell(line, items) }).expect(line)).remove(0);
    assert!(matches!(entry.job.command, Command::Argv(_)));
    let mut words = words(&entry);
    let parameters = words.split_off(4);
    assert_eq!((&words[0][..], &words[1][..], &words[3][..]), ("sh", "-c", "sh"));
    (words.swap_remove(2), parameters)
}

#[test]
fn items_are_readonly_variables_of_a_line_for_a_shell() {
    let cases = [
        ("gzip < {} > {.}.gz", "gzip < \"${_r1}\" > \"${_r2}\".gz", vec!["a/b.c", "a/b"]),
        ("wc -l", "wc -l \"${_r1}\"", vec!["a/b.c"]),
        (
            "echo \"got {} {#}\" '{/}' x{}y",
            "echo \"got ${_r1} ${_r2}\" ''\"${_r3}\"'' x\"${_r1}\"y",
            vec!["a/b.c", "1", "b.c"],
        ),
        ("echo $${}", "echo $$\"${_r1}\"", vec!["a/b.c"]),
        ("echo \"\\{}\" \"\\\"{}\"", "echo \"\\\\${_r1}\" \"\\\"${_r1}\"", vec!["a/b.c"]),
        ("f() { cat; }; f # don't {}\n cat {}", "f() { cat; }; f # don't {}\n cat \"${_r1}\"", vec!["a/b.c"]),
        ("echo \"$(basename {})\"", "echo \"$(basename \"${_r1}\")\"", vec!["a/b.c"]),
        ("echo \"`basename \\\"{}\\\"`\"", "echo \"$(basename \"${_r1}\")\"", vec!["a/b.c"]),
        ("cat <<A\n{}\nA", "cat <<A\n${_r1}\nA", vec!["a/b.c"]),
        ("cat <<< {}", "cat <<< \"${_r1}\"", vec!["a/b.c"]),
        ("echo ${x:-{}} \"${x#{}}\"", "echo ${x:-\"${_r1}\"} \"${x#\"${_r1}\"}\"", vec!["a/b.c"]),
        ("echo $(( {#} % 4 )) {}", "echo $(( ${_r1} % 4 )) \"${_r2}\"", vec!["1", "a/b.c"]),
        ("awk '{print $1}' {}", "awk '{print $1}' \"${_r1}\"", vec!["a/b.c"]),
    ];
    for (line, expected, parameters) in cases {
        let list =
            |text: &str| -> String { (1..=parameters.len()).map(|at| text.replace('N', &at.to_string())).collect() };
        let prologue = format!("unset{}; readonly{}; set --; ", list(" _rN"), list(" _rN=\"${N}\""));
        let found = rewritten(line, 1, &["a/b.c"]);
        assert_eq!(found, (prologue + expected, parameters.iter().map(|word| (*word).to_owned()).collect()), "{line}");
    }
    // Names that the line uses itself are avoided.
    let (line, _) = rewritten("_r1=x; echo {} $_r1", 1, &["a"]);
    assert_eq!(line, "unset _rr1; readonly _rr1=\"${1}\"; set --; _r1=x; echo \"${_rr1}\" $_r1");
}

#[test]
fn a_line_that_uses_positional_parameters_gets_the_items() {
    let alone = [
        "echo \\{} $1",
        "for f in \"$@\"; do x; done",
        "for f do x; done",
        "echo ${1}",
        "shift; echo",
        "echo `x $1`",
        "echo $#",
    ];
    for line in alone {
        assert_eq!(rewritten(line, 1, &["a/b.c"]), (line.to_owned(), vec!["a/b.c".to_owned()]), "{line}");
    }
    let (line, parameters) = rewritten("echo \"$@\"; echo {.}", 2, &["a.x", "b.x"]);
    assert_eq!(
        line,
        "unset _r1 _r2; readonly _r1=\"${1}\" _r2=\"${2}\"; shift 2; echo \"$@\"; echo \"${_r1}\" \"${_r2}\""
    );
    assert_eq!(parameters, ["a", "b", "a.x", "b.x"]);
}

#[test]
fn several_items_of_a_shell_line_are_words_of_their_own() {
    let of = |line: &str, items: &[&str]| {
        let (line, parameters) = rewritten(line, 2, items);
        (line.rsplit_once("set --; ").expect("a prologue").1.to_owned(), parameters.join("|"))
    };
    let expected = |line: &str, parameters: &str| (line.to_owned(), parameters.to_owned());
    assert_eq!(of("e {}; f x{}", &["a", "b"]), expected("e \"${_r1}\" \"${_r2}\"; f x\"${_r3}\"", "a|b|a b"));
    assert_eq!(of("e {}; f x{}", &["c"]), expected("e \"${_r1}\"; f x\"${_r1}\"", "c"));
    assert_eq!(of("e {2} '{2}'", &["a", "b"]), expected("e \"${_r1}\" ''\"${_r1}\"''", "b"));
    assert_eq!(of("e {2} '{2}'", &["c"]), expected("e  ''\"${_r1}\"''", ""));
}

#[test]
fn thousands_of_items_fit_into_a_line() {
    let items: Vec<String> = (0..5000).map(|at| format!("{at} '\"$")).collect();
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    let template = Template { items_per_job: items.len(), ..shell("printf '%s\\0' {}", &items) };
    let entry = all(opened(template).expect("a template")).remove(0);
    let expected: Vec<Vec<u8>> = items.iter().map(|item| item.as_bytes().to_vec()).collect();
    assert_eq!(printed(&entry.job.command), expected);
}

#[test]
fn a_placeholder_is_refused_where_it_might_not_stay_one_argument() {
    let error = |line: &str| opened(shell(line, &["a"])).expect_err(line).to_string();
    let expression = "is inside of an arithmetic expression";
    for (line, place) in [
        ("echo $(( {} + 1 ))", expression),
        ("(( x = {} ))", expression),
        ("echo $[{}]", expression),
        ("echo ${a[{}]}", expression),
        ("echo ${HOME:{}}", expression),
        ("echo $'{}'", "inside of $'...'"),
        ("cat <<'EOF'\n{}\nEOF", "is in a here-document with a quoted delimiter"),
        ("cat <<\\EOF\n{}\nEOF", "is in a here-document with a quoted delimiter"),
        ("cat <<{}\nx\n", "is in the delimiter of a here-document"),
        ("cat <<E\n${x#{}}\nE", "is in the pattern of ${...} in a here-document"),
        ("echo \"${x:-\"{}\"}\"", "is inside of quotes of ${...} in quotes"),
    ] {
        assert!(error(line).starts_with("the placeholder {} "), "{line}: {}", error(line));
        assert!(error(line).ends_with(place), "{line}: {}", error(line));
    }
    for line in ["cd x;", "true &&", "echo x # why", "cat <<EOF\nx\nEOF", "echo 'x", ""] {
        assert_eq!(error(line), "the line for the shell has no placeholder for the items", "{line}");
    }
}

/// What a real shell makes of the words of a job that prints each argument with a NUL behind it.
#[expect(clippy::disallowed_methods, reason = "only a shell knows what a shell reads")]
fn printed(command: &Command) -> Vec<Vec<u8>> {
    let argv = command.argv();
    let output = std::process::Command::new(&argv[0]).args(&argv[1..]).output().expect("a shell");
    assert!(output.status.success(), "{argv:?}: {}", String::from_utf8_lossy(&output.stderr));
    let mut printed: Vec<Vec<u8>> = output.stdout.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
    printed.pop();
    printed
}

#[test]
fn a_shell_sees_the_very_bytes_of_a_hostile_item() {
    let hostile: Vec<OsString> = vec![
        "$(touch /tmp/owned)".into(),
        "`id`; rm -rf x".into(),
        "a'b\"c\\".into(),
        "-n".into(),
        "*".into(),
        "two\nlines\n".into(),
        "".into(),
        OsString::from_vec(b"\xFF\xFE \xC3".to_vec()),
        "x".repeat(100 << 10).into(),
        "${IFS}".into(),
    ];
    let line = "printf '%s\\0' {} \"<{}>\" '<{}>' x{} \"$(printf %s. {})\"";
    let template = Template { inputs: vec![ItemInput::Words(hostile.clone())], ..shell(line, &[]) };
    for (entry, item) in all(opened(template).expect("a template")).iter().zip(&hostile) {
        let with = |before: &str, behind: &str| [before.as_bytes(), item.as_bytes(), behind.as_bytes()].concat();
        let expected = [with("", ""), with("<", ">"), with("<", ">"), with("x", ""), with("", ".")];
        assert_eq!(printed(&entry.job.command), expected, "{item:?}");
    }
}

/// Shell metacharacters and bytes that are not UTF-8.
const HOSTILE_BYTES: &[u8] = b"$`'\"\\(){}[]*?~&;|<>#! \n\tE.a-=\xff\xc3\x81\x88";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn an_argument_has_exactly_the_bytes_of_the_item(
        items in vec(vec(1_u8.., 0..40), 1..12),
        per_job in 1_usize..5,
        before in "[a-z{}#./]{0,4}",
    ) {
        let items: Vec<OsString> = items.into_iter().map(OsString::from_vec).collect();
        let before = before.replace(['{', '}'], "");
        let template = Template {
            command: TemplateCommand::Argv(vec!["e".into(), "{}".into(), format!("{before}{{1}}").into()]),
            inputs: vec![ItemInput::Words(items.clone())],
            items_per_job: per_job,
            ..template(&[], &[])
        };
        let entries = all(opened(template).expect("a template"));
        prop_assert_eq!(entries.len(), items.chunks(per_job).len());
        for (entry, chunk) in entries.iter().zip(items.chunks(per_job)) {
            let argv = entry.job.command.argv();
            prop_assert_eq!(&argv[1..=chunk.len()], chunk);
            let joined = [before.as_bytes(), chunk[0].as_bytes()].concat();
            prop_assert_eq!(argv[chunk.len() + 1].as_bytes(), &joined[..]);
        }
    }

    /// The bytes of an item are exact in every kind of quotes.
    #[test]
    fn a_shell_sees_the_bytes_of_any_item(item in vec(proptest::sample::select(HOSTILE_BYTES), 0..12)) {
        let line = "unset u; printf '%s\\0' {} \"{}\" '{}' ${u:-{}} \"${u:-{}}\" \"$(printf '%s.' \"{}\")\" \
            \"`printf %s. {}`\" \"$(sh -c 'printf %s. {q}')\" \"$(cat <<E\n{}.\nE\n)\"; f() { printf '%s\\0' {}; }; f x";
        let items = vec![ItemInput::Words(vec![OsString::from_vec(item.clone())])];
        let entry = all(opened(Template { inputs: items, ..shell(line, &[]) }).expect("a template")).remove(0);
        let dotted = [&item[..], b"."].concat();
        let expected: Vec<Vec<u8>> = [vec![item; 5], vec![dotted; 4]].concat();
        let mut found = printed(&entry.job.command);
        prop_assert_eq!(found.pop(), Some(expected[0].clone()));
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn no_template_and_no_line_makes_it_panic(
        word in "[{}#./0-9$`'\"\\\\()<; \nax]{0,30}",
        item in vec(1_u8.., 0..20),
        any in any::<bool>(),
    ) {
        let items = vec![ItemInput::Words(vec![OsString::from_vec(item)])];
        let command = if any {
            TemplateCommand::Argv(vec!["e".into(), word.into()])
        } else {
            TemplateCommand::Shell { shell: "sh".into(), line: word.into() }
        };
        if let Ok(source) = opened(Template { command, inputs: items, ..template(&[], &[]) }) {
            prop_assert_eq!(all(source).len(), 1);
        }
    }

    /// Whatever is around a placeholder, its item is nothing but a parameter.
    #[test]
    fn no_byte_of_an_item_is_in_the_line(line in "[{}#./1$`'\"\\\\()<; \nax]{0,30}") {
        if let Ok(source) = opened(shell(&line, &["\u{1F980}.\u{1F980}"])) {
            let argv = all(source)[0].job.command.argv();
            prop_assert_eq!(argv[2].as_bytes().iter().find(|byte| **byte > 0x7F), None);
        }
    }
}
